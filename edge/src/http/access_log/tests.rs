use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("flambeau-access-{}-{name}.log", std::process::id()));
    drop(fs::remove_file(&path));
    path
}

fn request() -> Request<()> {
    Request::get("/athletics/v256/7.m4s?token=geheim")
        .header(REFERER, "https://player.example/watch?user=7#a")
        .header(USER_AGENT, "a \"player\"\\ \u{e9}")
        .header(http::header::AUTHORIZATION, "Bearer geheim")
        .body(())
        .expect("a request")
}

/// The text of the log once it has `lines` lines.
fn written(path: &Path, lines: usize) -> String {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= lines {
            return text;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never written: {text}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn log(path: &Path, format: LogFormat) -> AccessLog {
    AccessLog::open(path.to_owned(), format, Arc::default()).expect("the temporary directory can be written")
}

#[test]
fn a_line_is_of_the_combined_form_and_gives_nothing_away() {
    let path = path("combined");
    let log = log(&path, LogFormat::Human);
    let mut line = log.line("192.0.2.7".parse().expect("an address"), &request());
    line.at = Utc(1_795_366_172_123_456);
    let mut line = line.answered(StatusCode::OK, None);
    line.sent(1000);
    line.sent(234);
    drop(line);
    drop(log.line("2001:db8::1".parse().expect("an address"), &request()));
    let text = written(&path, 2);
    let first = text.lines().next().expect("a line");
    assert_eq!(
        first,
        "192.0.2.7 - - [22/Nov/2026:16:49:32 +0000] \"GET /athletics/v256/7.m4s HTTP/1.1\" 200 1234 \
         \"https://player.example/watch\" \"a \\\"player\\\"\\\\ \u{e9}\""
    );
    assert!(text.lines().nth(1).expect("a line").contains("\" 499 - \""), "{text}");
    assert!(!text.contains("geheim"), "{text}");
}

#[test]
fn a_line_of_json_parses() {
    let path = path("json");
    let log = log(&path, LogFormat::Json);
    drop(
        log.line("192.0.2.7".parse().expect("an address"), &request()).answered(StatusCode::NOT_FOUND, None),
    );
    let text = written(&path, 1);
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&line["status"], &line["path"]), (&404.into(), &"/athletics/v256/7.m4s".into()));
    assert_eq!(line["referer"], "https://player.example/watch");
    assert!(!text.contains("geheim"), "{text}");
}

#[test]
fn a_file_that_is_moved_away_is_opened_anew() {
    let path = path("rotated");
    let log = log(&path, LogFormat::Human);
    let peer = "192.0.2.7".parse().expect("an address");
    drop(log.line(peer, &request()));
    written(&path, 1);
    let moved = path.with_extension("1");
    fs::rename(&path, &moved).expect("it can be moved");
    let began = Instant::now();
    while !path.exists() {
        drop(log.line(peer, &request()));
        assert!(began.elapsed() < Duration::from_secs(20), "never opened anew");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    drop(log.line(peer, &request()));
    written(&path, 1);
}

#[test]
fn what_the_disk_cannot_take_is_dropped_and_counted() {
    let stats = Arc::new(Stats::default());
    let (queue, receiver) = std::sync::mpsc::sync_channel(2);
    let log = AccessLog { queue, format: LogFormat::Human, stats: stats.clone() };
    for _ in 0..5 {
        drop(log.line("192.0.2.7".parse().expect("an address"), &request()));
    }
    assert_eq!(stats.snapshot().log_lines_dropped, 3);
    assert_eq!(receiver.try_iter().count(), 2);
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    let nowhere = PathBuf::from("/nonexistent/access.log");
    let error = AccessLog::open(nowhere, LogFormat::Human, Arc::default()).expect_err("no such directory");
    assert!(error.to_string().starts_with("the access log /nonexistent/access.log cannot be written: "));
}

proptest! {
    #[test]
    fn nobody_ends_a_line_but_we(text in any::<String>()) {
        let mut line = String::new();
        escape(&mut line, &text);
        prop_assert!(!line.contains(['\n', '\r', '\0']));
        let bare = line.replace("\\\\", "").replace("\\\"", "");
        prop_assert!(!bare.contains('"'));
    }
}
