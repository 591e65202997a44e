//! Holds `docs/configuration.md` to what the reader accepts and the schema says.

use std::fs;
use std::path::{Path, PathBuf};

use flambeau_config::{Config, json_schema};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md")
}

fn text() -> String {
    fs::read_to_string(page()).expect("the page is there")
}

/// The blocks of the page fenced as `language`.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fenced = text.split("\n```").collect::<Vec<_>>();
    let block = |block: &&str| block.strip_prefix(&format!("{language}\n")).map(str::to_owned);
    fenced.iter().filter_map(block).collect()
}

#[test]
fn each_example_passes_check_without_a_warning() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    fs::create_dir_all(&directory).expect("the target directory can be written");
    let examples = blocks(&text(), "toml");
    assert!(examples.len() >= 4, "{}", examples.len());
    for (index, example) in examples.iter().enumerate() {
        for (number, line) in example.lines().filter(|line| line.contains("_file = ")).enumerate() {
            let name = line.split('"').nth(1).expect("a file's name in quotes");
            private_file(&directory.join(name), &format!("a secret of its own, number {number}"));
        }
        let file = directory.join(format!("{index}.toml"));
        fs::write(&file, example).expect("the target directory can be written");
        match Config::load(&file) {
            Ok(config) => assert_eq!(config.warnings, [], "{example}"),
            Err(problems) => panic!("{example}\n{problems:#?}"),
        }
    }
}

/// Writes what only this user may read.
fn private_file(path: &Path, text: &str) {
    fs::write(path, text).expect("the target directory can be written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }
}

#[test]
fn the_page_lists_each_key_as_the_schema_says_it() {
    let (text, begin, end) = (text(), "<!-- keys -->\n", "<!-- end of keys -->\n");
    let (before, rest) = text.split_once(begin).expect("where the keys begin");
    let (listed, after) = rest.split_once(end).expect("where the keys end");
    let expected = format!("{}\n", json_schema::reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page(), format!("{before}{begin}{expected}{end}{after}")).expect("the page can be written");
        return;
    }
    assert!(listed == expected, "run `UPDATE_DOCS=1 cargo test -p flambeau-config --test documentation`");
}

#[test]
fn what_check_prints_on_the_page_is_what_it_says() {
    let [example, ..] = &blocks(&text(), "toml-wrong")[..] else { panic!("an example of what is wrong") };
    let printed = blocks(&text(), "console");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.toml");
    fs::write(&file, example).expect("the target directory can be written");
    let problems = Config::load(&file).expect_err("it is wrong");
    for problem in problems {
        let problem = problem.to_string().replace(&file.display().to_string(), "flambeau.toml");
        assert!(printed.iter().any(|block| block.contains(&problem)), "the page lacks\n{problem}");
    }
}
