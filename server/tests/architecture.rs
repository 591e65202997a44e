//! Holds the arrows of the house: who leans on whom, and what stays out of `proto/`.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Each crate and the crates of this workspace it may lean on.
const ARROWS: [(&str, &[&str]); 9] = [
    ("media", &[]),
    ("proto", &["media"]),
    ("srt", &[]),
    ("config", &["media"]),
    ("ingest", &["media", "proto", "srt", "config"]),
    ("packager", &["media", "proto", "config"]),
    ("edge", &["media", "proto", "srt", "config"]),
    ("loadtest", &["media", "proto", "srt"]),
    ("server", &["media", "proto", "srt", "config", "ingest", "packager", "edge", "loadtest"]),
];

/// Formats and the core of `srt/` are sans-IO: none of these may be named there. An address is no socket.
const IO_AND_CLOCKS: [&str; 9] = [
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "tokio",
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "thread::spawn",
];

/// Lines a file may have above its tests.
const LINES_MAX: usize = 500;

#[test]
fn a_crate_leans_only_on_those_below_it() {
    for (name, allowed) in ARROWS {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for other in ours(&manifest(name), kind) {
                assert!(
                    allowed.contains(&other.as_str()),
                    "{name}/Cargo.toml: [{kind}] leans on {other}; it may lean on {allowed:?} only"
                );
            }
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_its_arrows_drawn() {
    let root: Table = read(&root().join("Cargo.toml")).parse().expect("the root manifest is TOML");
    let members = root["workspace"]["members"].as_array().expect("a list of members");
    let mut members: Vec<&str> = members.iter().filter_map(|member| member.as_str()).collect();
    let mut drawn: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    members.sort_unstable();
    drawn.sort_unstable();
    assert_eq!(members, drawn);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (name, _) in ARROWS {
        let inherited = manifest(name).get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(inherited, Some(true), "{name}/Cargo.toml lacks [lints] workspace = true");
    }
}

#[test]
fn formats_and_the_srt_core_know_no_socket_and_no_clock() {
    for folder in ["proto/src", "srt/src/protocol"] {
        let files = sources(&root().join(folder));
        assert!(!files.is_empty(), "{folder} has no source");
        for file in files {
            for (number, line) in code(&file).lines().enumerate() {
                let named = IO_AND_CLOCKS.iter().find(|word| names(line, word));
                assert!(
                    named.is_none(),
                    "{}:{}: {} is named",
                    file.display(),
                    number + 1,
                    named.expect("some")
                );
            }
        }
    }
}

#[test]
fn srt_knows_nothing_of_flambeau() {
    for file in sources(&root().join("srt/src")) {
        assert!(!code(&file).contains("flambeau_media"), "{} names flambeau_media", file.display());
    }
}

#[test]
fn files_are_of_a_size_to_read() {
    let long: Vec<String> = ARROWS
        .iter()
        .flat_map(|(name, _)| sources(&root().join(name).join("src")))
        .map(|file| (code(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, file)| format!("{}: {lines} lines above its tests", file.display()))
        .collect();
    assert!(long.is_empty(), "split these at a seam (at most {LINES_MAX} lines):\n{}", long.join("\n"));
}

/// Whether a line of code, its comment left out, names `word`.
fn names(line: &str, word: &str) -> bool {
    line.split("//").next().is_some_and(|code| code.contains(word))
}

/// The workspace's crates in one table of a manifest, without the prefix.
fn ours(manifest: &Table, kind: &str) -> Vec<String> {
    let empty = Table::new();
    let table = manifest.get(kind).and_then(|table| table.as_table()).unwrap_or(&empty);
    table.keys().filter_map(|name| name.strip_prefix("flambeau-")).map(Into::into).collect()
}

fn manifest(name: &str) -> Table {
    read(&root().join(name).join("Cargo.toml")).parse().expect("a manifest is TOML")
}

/// A file's text above its inline tests.
fn code(file: &Path) -> String {
    let text = read(file);
    let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Every Rust file below a folder but `tests.rs` and what lies in `tests/`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_tests {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_tests {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").into()
}
