//! The command line as an operator meets it: what it prints, and its exit codes.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs `flambeau` with these arguments to its end.
fn flambeau(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flambeau"));
    command.args(arguments).env_remove("RUST_LOG").output().expect("the binary was built for this test")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A configuration file of this text.
fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("the target directory can be written");
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

#[test]
fn check_says_what_would_run() {
    let config = file("right.toml", "[[feeds]]\nid = \"main\"\n[[channels]]\nid = \"c\"\nfeed = \"main\"\n");
    let output = flambeau(&["check", path(&config)]);
    assert_eq!(output.status.code(), Some(0));
    let summary = stdout(&output);
    for said in [
        "is right, with 1 warning",
        "1 Feed, 1 Channel, 0 broadcasters",
        "udp 0.0.0.0:9000",
        "127.0.0.1:8081",
    ] {
        assert!(summary.contains(said), "{said} is not in:\n{summary}");
    }
    assert!(
        stderr(&output).contains(":2:6: warning: feeds[0].id: main has no passphrase"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn check_and_run_refuse_a_wrong_file_in_the_same_words() {
    let config =
        file("wrong.toml", "[packager]\npart = 200\n[[feeds]]\nid = \"main\"\npassphrase = \"short\"\n");
    let (checked, run) = (flambeau(&["check", path(&config)]), flambeau(&["run", path(&config)]));
    assert_eq!((checked.status.code(), run.status.code()), (Some(2), Some(2)));
    assert_eq!(stderr(&checked), stderr(&run));
    assert!(stdout(&checked).is_empty());
    let said = stderr(&checked);
    assert!(said.contains(":2:8: error: packager.part: \"200\" has no unit\n    add the unit"), "{said}");
    assert!(said.contains(":5:14: error: feeds[0].passphrase: "), "{said}");
    assert!(said.contains("2 errors and 0 warnings: this does not run."), "{said}");
    assert!(!said.contains("short"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_exit_code_2() {
    let output = flambeau(&["run", "no such file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).starts_with("no such file.toml: error: it cannot be read: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn schema_prints_json_schema() {
    let output = flambeau(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["properties"]["packager"]["properties"]["part"]["default"], "200ms");
}

#[test]
fn help_teaches_by_example() {
    let help = stdout(&flambeau(&["--help"]));
    let run = stdout(&flambeau(&["run", "--help"]));
    for command in ["run", "check", "schema", "loadtest"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    for said in ["Lab mode", "127.0.0.1", "udp 9000", "tcp 8080", "streamid=#!::r=FEED,m=publish", "ffmpeg"] {
        assert!(run.contains(said), "{said} is not in:\n{run}");
    }
    assert!(stdout(&flambeau(&["--version"])).starts_with("flambeau 0."));
}

#[test]
fn the_configuration_in_the_help_is_right_but_for_its_key_files() {
    let help = stdout(&flambeau(&["--help"]));
    let (_, after) = help.split_once("A configuration to begin with:\n").expect("the help has one");
    let (text, _) = after.split_once("\nExit codes:").expect("the exit codes follow it");
    let inline = text.replace("_file = ", " = ").replace("rtx.key\"", "rtx.key of ten bytes\"");
    let config = file("help.toml", &inline.replace("rtx.token\"", "rtx.token of the broadcaster\""));
    let output = flambeau(&["check", path(&config)]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    assert_eq!(flambeau(&["run", "--role", "kitchen"]).status.code(), Some(2));
    assert_eq!(flambeau(&["rum"]).status.code(), Some(2));
    let level = flambeau(&["run", "--log-level", "a=b=c"]);
    assert_eq!(level.status.code(), Some(1));
    assert!(stderr(&level).contains("--log-level"), "{}", stderr(&level));
}

#[test]
fn a_port_in_use_is_named_with_its_key_and_what_to_do() {
    let held = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = held.local_addr().expect("it is bound");
    let text = format!(
        "[ingest.srt]\nlisten = \"{address}\"\n[edge.srt]\nlisten = \"127.0.0.1:0\"\n[edge.http]\nlisten = \
         \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[[feeds]]\nid = \"main\"\npassphrase = \"long enough\"\n"
    );
    let output = flambeau(&["run", path(&file("taken.toml", &text))]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    for part in [address.to_string().as_str(), "ingest.srt.listen", "ss -lp --udp"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}
