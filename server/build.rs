//! Puts the console's files into the binary: those of `console/dist`, or a page that says how to make them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let dist = root.join("../console/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // A path that is not there is looked at each time, and so found once it is.
    println!("cargo::rerun-if-changed={}", dist.join("index.html").display());
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        println!("cargo::rerun-if-changed={}", dist.display());
        collect(&dist, "", &mut files)?;
    } else {
        let page = out.join("console-missing.html");
        fs::write(&page, MISSING)?;
        files.push(("index.html".to_owned(), page));
    }
    files.sort();
    let mut source = String::from("&[\n");
    for (name, path) in files {
        let path = path.canonicalize()?;
        writeln!(source, "    ({name:?}, include_bytes!({path:?})),").map_err(io::Error::other)?;
    }
    source.push_str("]\n");
    fs::write(out.join("console.rs"), source)
}

fn collect(directory: &Path, prefix: &str, into: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), into)?;
        } else {
            into.push((name, entry.path()));
        }
    }
    Ok(())
}

const MISSING: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">
<title>Flambeau</title></head><body>
<h1>Flambeau</h1>
<p>This binary was built without its console. <code>scripts/setup</code> installs what the console is built with and
builds it; build the server again after that.</p>
<p>The <a href=\"/api/v1/openapi.json\">API</a>, the <a href=\"/metrics\">metrics</a>, <a href=\"/healthz\">health</a> and
<a href=\"/readyz\">readiness</a> are there.</p>
</body></html>
";
