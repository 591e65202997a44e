use std::fs;
use std::path::PathBuf;

use super::*;
use crate::schema::{Holder, KeyLength, LogFormat};

/// What is found wrong with `text`, each as `LINE:COLUMN severity KEY: what is wrong | remedy`.
fn found(text: &str) -> Vec<String> {
    let problems = match parse(text, Path::new("flambeau.toml")) {
        Ok(config) => config.warnings,
        Err(problems) => problems,
    };
    let line = |p: &Problem| {
        format!("{}:{} {} {}: {} | {}", p.line, p.column, p.severity, p.key, p.message, p.remedy)
    };
    problems.iter().map(line).collect()
}

/// That `text`, a Feed below it, has exactly this error, and no warning.
#[track_caller]
fn has_one(text: &str, expected: &str) {
    let feed = "\n[[feeds]]\nid = \"fine\"\npassphrase = \"long enough\"\n";
    assert_eq!(found(&format!("{text}{feed}")), [expected]);
}

/// That `text`, which has its own Feed, has exactly this problem.
#[track_caller]
fn has_only(text: &str, expected: &str) {
    assert_eq!(found(text), [expected]);
}

fn temporary_directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("flambeau-config-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).expect("the temporary directory can be written");
    directory
}

const RIGHT: &str = r#"
[ingest.srt]
listen = "127.0.0.1:7000"
latency = "1s"
key_length = 32
[edge.srt]
bandwidth_max = "20Mb/s"
[edge.http]
header_bytes_max = "32KiB"
cors_origins = ["https://player.example"]
[packager]
part = "500ms"
segment = "4s"
window = "1h30m"
[log]
format = "json"
level = "info,flambeau_srt=debug"
[[feeds]]
id = "athletics-main"
label = "Athletics"
passphrase = "0123456789"
users = ["venue-7"]
sources = ["192.0.2.0/24", "2001:db8::1"]
history = "10s"
[[channels]]
id = "athletics"
feed = "athletics-main"
segment = "2s"
public = true
[[broadcasters]]
id = "rtx"
passphrase = "abcdefghij"
token = "0123456789abcdef"
[[entitlements]]
broadcaster = "rtx"
feeds = ["athletics-*"]
[[entitlements]]
broadcaster = "*"
channels = ["athletics"]
"#;

#[test]
fn a_right_file_is_read_whole() {
    let config = parse(RIGHT, Path::new("flambeau.toml")).expect("it is right");
    assert_eq!(config.warnings, []);
    assert_eq!(config.ingest.srt.listen.port(), 7000);
    assert_eq!(config.ingest.srt.key_length, KeyLength::Aes256);
    assert_eq!(config.edge.srt.listen, Config::default().edge.srt.listen);
    assert_eq!(config.edge.srt.bandwidth_max, Some(BitRate(20_000_000)));
    assert_eq!(config.edge.http.header_bytes_max, 32 << 10);
    assert_eq!(config.edge.http.cors_origins, ["https://player.example"]);
    assert_eq!(config.packager.window, Duration::from_secs(5400));
    assert_eq!(config.log.format, LogFormat::Json);
    let feed = &config.feeds[0];
    assert_eq!((feed.label.as_deref(), feed.users.len(), feed.sources.len()), (Some("Athletics"), 1, 2));
    assert!(feed.passphrase.as_ref().is_some_and(|passphrase| passphrase.matches(b"0123456789")));
    assert_eq!(config.channels[0].segment, Some(Duration::from_secs(2)));
    assert!(config.channels[0].public);
    assert_eq!(config.entitlements[1].broadcaster, Holder::Any);
}

#[test]
fn a_config_never_prints_its_secrets() {
    let config = parse(RIGHT, Path::new("flambeau.toml")).expect("it is right");
    let printed = format!("{config:?} {}", serde_json::to_string(&config).expect("it serialises"));
    for secret in ["0123456789", "abcdefghij", "0123456789abcdef"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn each_problem_is_reported_at_once_in_the_order_of_the_file() {
    let text = "[edge.http]\nlisten = 8080\nidle_timeout = \"60\"\nspeed = 3\n\n[[feeds]]\nid = \"a/b\"\npassphrase = \"short\"\n\
                [[channels]]\nid = \"c\"\nfeed = \"d\"\n";
    assert_eq!(
        found(text),
        [
            "2:10 error edge.http.listen: expected an address and port, found a whole number | write it as \
             \"0.0.0.0:9000\"",
            "3:16 error edge.http.idle_timeout: \"60\" has no unit | add the unit (d, h, m, s, ms, us) to 60: \"200ms\"",
            "4:1 error edge.http.speed: there is no such key | remove it; the keys of edge.http are listen, \
             certificate, key, connections_max, connections_per_address_max, requests_per_second_max, \
             header_bytes_max, header_timeout, idle_timeout, write_timeout, cors_origins, access_log",
            "7:6 error feeds[0].id: an id has letters, digits, '.', '_' and '-' and starts with a letter or digit: \
             '/' does not fit | choose an id such as \"athletics-main\"",
            "8:14 error feeds[0].passphrase: a passphrase has 10 to 79 bytes, this one has 5 | choose a passphrase of \
             10 to 79 bytes, as `openssl rand -hex 16` prints",
            "11:8 error channels[0].feed: there is no Feed \"d\" | add [[feeds]] with id = \"d\"; there are: none",
        ]
    );
}

#[test]
fn an_unknown_key_names_the_one_that_is_near() {
    has_one(
        "[ingest.srt]\nlatancy = \"1s\"",
        "2:1 error ingest.srt.latancy: there is no such key | did you mean latency?",
    );
    has_one("[pakager]\npart = \"1s\"", "1:2 error pakager: there is no such key | did you mean packager?");
}

#[test]
fn a_key_in_the_wrong_place_names_the_right_one() {
    has_one(
        "[srt]\nlisten = \"0.0.0.0:9000\"",
        "1:2 error srt: there is no such key | srt is known elsewhere: write it as [ingest.srt] or [edge.srt]",
    );
    has_one(
        "[log]\nsegment = \"2s\"",
        "2:1 error log.segment: there is no such key | segment is known elsewhere: write it as segment in [packager] \
         or segment in [[channels]]",
    );
}

#[test]
fn a_section_and_a_list_of_sections_are_told_apart() {
    has_one(
        "[[packager]]\npart = \"1s\"",
        "1:3 error packager: it is a section, and written as a list | write [packager] with one pair of brackets",
    );
    has_only(
        "[feeds]\nid = \"a\"",
        "1:2 error feeds: it is a list of sections, and written as one | write [[feeds]] with two pairs of brackets, \
         once per entry",
    );
    has_only(
        "feeds = [\"a\"]",
        "1:10 error feeds[0]: an entry is a section, this one is a text | write [[feeds]] with two pairs of \
         brackets, once per entry",
    );
    has_one(
        "log = \"info\"",
        "1:1 error log: it is a section, and written as a text | write [log] and its keys below",
    );
}

#[test]
fn a_file_without_feeds_is_an_error() {
    has_only(
        "[admin]\nlisten = \"127.0.0.1:7\"",
        "1:1 error feeds: there is no [[feeds]] section: nothing could be published | add [[feeds]] with id = \
         \"NAME\"; or run without a file, which is lab mode and takes any Feed",
    );
}

#[test]
fn a_missing_id_is_asked_for() {
    has_one(
        "[[channels]]\nfeed = \"fine\"",
        "1:1 error channels[0].id: id is missing | add id = \"athletics\" to this [[channels]]",
    );
}

#[test]
fn a_wrong_type_names_the_right_one() {
    has_one(
        "[ingest.srt]\nsessions_max = \"many\"",
        "2:16 error ingest.srt.sessions_max: expected a whole number, found a text | write it as 1000",
    );
    has_one(
        "[edge.http]\ncors_origins = \"*\"",
        "2:16 error edge.http.cors_origins: it is a list, and written as a text | write it in brackets: cors_origins \
         = [\"https://player.example\"]",
    );
    has_one(
        "[ingest.srt]\nsessions_max = -1",
        "2:16 error ingest.srt.sessions_max: -1 is out of bounds | choose a number from 0 to 4294967295",
    );
    has_one(
        "[ingest.srt]\nkey_length = 20",
        "2:14 error ingest.srt.key_length: an AES key has 16, 24 or 32 bytes, not 20 | write 16 (AES-128), 24 \
         (AES-192) or 32 (AES-256)",
    );
    has_one(
        "[log]\nlevel = \"loud\"",
        "2:9 error log.level: there is no level \"loud\" | write one of off, error, warn, info, debug, trace, or one \
         per module: \"info,flambeau_srt=debug\"",
    );
    has_one(
        "[edge.http]\nlisten = \":8080\"",
        "2:10 error edge.http.listen: \":8080\" is not an address and port | add the address: \"0.0.0.0:8080\" for \
         each of this machine's, \"127.0.0.1:8080\" for it alone",
    );
}

#[test]
fn a_missing_unit_is_asked_for() {
    has_one(
        "[packager]\npart = 200",
        "2:8 error packager.part: \"200\" has no unit | add the unit (d, h, m, s, ms, us) to 200: \"200ms\"",
    );
    has_one(
        "[edge.srt]\nbandwidth_max = \"20MB/s\"",
        "2:17 error edge.srt.bandwidth_max: \"MB/s\" is not a unit here | the units are b/s, kb/s, Mb/s, Gb/s; b is \
         a bit: write it as \"20Mb/s\"",
    );
}

#[test]
fn a_value_out_of_bounds_names_them() {
    has_one(
        "[ingest.srt]\nlatency = \"1m\"",
        "2:11 error ingest.srt.latency: 1m is out of bounds: at most 30s | choose a value from 20ms to 30s",
    );
    has_one(
        "[edge.srt]\nsessions_max = 0",
        "2:16 error edge.srt.sessions_max: 0 is out of bounds: at least 1 | choose a value from 1 to 1000000",
    );
}

#[test]
fn a_line_that_is_not_toml_is_named_with_its_remedy() {
    has_only_syntax(
        "[ingest.srt]\nlatency = 120ms\n[[feeds]]\nid = \"a\"\n",
        "2:11",
        "write a value: texts, durations and sizes stand in double quotes, as latency = \"120ms\"",
    );
    has_only_syntax(
        "[[feeds]\nid = \"a\"\n",
        "1:9",
        "write a section as [edge.http] and an entry of a list as",
    );
    has_only_syntax("[[feeds]]\nid = \"a\"\nid = \"b\"\n", "3:1", "keep one of the two");
    has_only_syntax("[[feeds]]\nid = \"a\n", "2:8", "close the text with the quote it began with");
    has_only_syntax("[[feeds]]\nid \"a\"\n", "2:4", "write");
    has_only_syntax("[[feeds]]\nid = \n", "2:6", "write a value");
    has_only_syntax("[[feeds]]\nusers = [\"a\"\n", "2:", "write a list as");
}

#[track_caller]
fn has_only_syntax(text: &str, place: &str, remedy: &str) {
    let problems = found(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let (wrong, advice) = problems[0].split_once(" | ").expect("a remedy");
    assert!(wrong.starts_with(place) && wrong.contains(" error : not TOML: "), "{problems:#?}");
    assert!(advice.starts_with(remedy), "{problems:#?}");
}

#[test]
fn the_keys_of_a_broken_header_are_not_blamed() {
    let problems = found("[edge.http\nlisten = 1\n\n[log]\nlevel = \"loud\"\n[[feeds]]\nid = \"a\"\n");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("1:") && problems[1].starts_with("5:9 error log.level"), "{problems:#?}");
}

#[test]
fn what_is_wrong_besides_a_broken_line_is_reported_too() {
    let problems = found("[ingest.srt]\nlatency = 120ms\nsessions_max = 0\n[[feeds]]\nid = \"a\"\n");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[1].starts_with("3:16 error ingest.srt.sessions_max"), "{problems:#?}");
}

#[test]
fn a_column_counts_characters() {
    has_one(
        "[[channels]]\nid = \"c\"\nfeed = \"fine\"\nlabel = \"é\\u0007\"",
        "4:9 error channels[0].label: expected 1 to 256 bytes without control characters | write it as \"Athletics, \
         main feed\"",
    );
    let problems = found("feeds = [{ id = \"a\", label = \"éé\", passphrase = \"short\" }]");
    assert!(problems[0].starts_with("1:49 error feeds[0].passphrase"), "{problems:#?}");
}

#[cfg(unix)]
#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = temporary_directory("secrets");
    let (key, file) = (directory.join("a.key"), directory.join("flambeau.toml"));
    fs::write(&key, "swordfish42\n").expect("it can be written");
    fs::write(&file, "[[feeds]]\nid = \"a\"\npassphrase_file = \"a.key\"\n").expect("it can be written");

    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let config = Config::load(&file).expect("it is right");
    assert_eq!(config.warnings, []);
    assert!(config.feeds[0].passphrase.as_ref().is_some_and(|secret| secret.matches(b"swordfish42")));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let warnings = Config::load(&file).expect("it runs").warnings;
    assert_eq!(
        (warnings.len(), warnings[0].line, warnings[0].key.as_str()),
        (1, 3, "feeds[0].passphrase_file")
    );
    assert_eq!(warnings[0].remedy, format!("chmod 600 {}", key.display()));
    fs::remove_dir_all(directory).expect("it is ours");
}

#[test]
fn a_secret_is_given_once_and_its_file_exists() {
    has_only(
        "[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"\npassphrase_file = \"b\"\n",
        "4:1 error feeds[0].passphrase_file: both passphrase and passphrase_file are given | keep one of the two",
    );
    let problems = found("[[feeds]]\nid = \"a\"\npassphrase_file = \"no such file\"\n");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("3:19 error feeds[0].passphrase_file: no such file cannot be read: "));
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_without_a_line() {
    let path = Path::new("no such directory/flambeau.toml");
    let problems = Config::load(path).expect_err("there is none");
    assert_eq!((problems.len(), problems[0].line), (1, 0));
    let text = problems[0].to_string();
    assert!(text.starts_with("no such directory/flambeau.toml: error: it cannot be read: "), "{text}");
}

#[test]
fn a_problem_prints_as_compilers_do() {
    let problems = parse("[admin]\nlisten = 1", Path::new("f.toml")).expect_err("it is wrong");
    let printed: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(
        printed.contains(
            &"f.toml:2:10: error: admin.listen: expected an address and port, found a whole number\n    write it as \
              \"0.0.0.0:9000\""
                .to_owned()
        ),
        "{printed:#?}"
    );
}

mod agreement;
mod cross;
mod hostile;

#[test]
fn a_certificate_that_does_not_parse_is_a_problem_of_its_line() {
    let directory = temporary_directory("certificate");
    fs::write(directory.join("c.pem"), "hello").expect("the temporary directory can be written");
    let text = "[edge.http]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
                [[feeds]]\nid = \"f\"\npassphrase = \"long enough\"\n";
    let problems = parse(text, &directory.join("flambeau.toml")).expect_err("no certificate");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert_eq!((problem.line, problem.key.as_str()), (2, "edge.http.certificate"));
    assert!(problem.message.contains("c.pem has no PEM section"), "{problem}");
    assert!(problem.remedy.contains("fullchain.pem"), "{problem}");
}

#[test]
fn a_certificate_needs_its_key() {
    has_one(
        "[edge.http]\ncertificate = \"c.pem\"\n",
        "2:15 error edge.http.certificate: there is no key to the certificate | add key = \"key.pem\" to [edge.http]",
    );
}
