//! No text panics the reader.

use proptest::prelude::*;

use super::*;
use crate::json_schema;

/// Lines as an operator might write them, right and wrong.
fn any_line() -> impl Strategy<Value = String> {
    let keys = json_schema::paths();
    let header = prop::sample::select(keys.clone())
        .prop_flat_map(|path| prop_oneof![Just(format!("[{path}]")), Just(format!("[[{path}]]"))]);
    let value = prop_oneof![
        "\"[0-9]{0,3}(ms|s|MiB|Mb/s|)\"",
        "\"[a-z*?/.:-]{0,6}\"",
        "-?[0-9]{1,22}",
        "\\[\"[a-z*]{0,3}\", ?[0-9]?\\]",
        "true|false|1979-05-27|inf|\\{\\}|\\[\\[\\]\\]",
    ];
    let key = prop::sample::select(keys).prop_map(|path| path.rsplit('.').next().unwrap_or("x").to_owned());
    prop_oneof![header, (key, value).prop_map(|(key, value)| format!("{key} = {value}")), ".{0,20}"]
}

proptest! {
    #[test]
    fn no_file_panics_the_reader(lines in prop::collection::vec(any_line(), 0..30)) {
        let text = lines.join("\n");
        let lines = text.split('\n').count();
        if let Err(problems) = parse(&text, Path::new("flambeau.toml")) {
            prop_assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            for problem in problems {
                prop_assert!((1..=lines).contains(&problem.line), "{problem}");
                prop_assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
            }
        }
    }

    #[test]
    fn no_bytes_panic_the_reader(text in any::<String>()) {
        let _ = parse(&text, Path::new("flambeau.toml"));
    }
}
