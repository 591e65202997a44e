//! Where each key stands, and the problems found so far.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, Severity};

/// Collects problems. A problem is reported by its key's dotted path; the report knows where that is.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    lines: Vec<usize>,
    places: HashMap<String, Place>,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
    broken_lines: Vec<usize>,
}

/// Where a key and its value stand, in bytes of the text.
struct Place {
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect();
        Self {
            file,
            text,
            lines,
            places: HashMap::new(),
            problems: RefCell::default(),
            asked: RefCell::default(),
            broken_lines: Vec::new(),
        }
    }

    /// The file reported on.
    pub(super) fn file(&self) -> &Path {
        self.file
    }

    /// Notes where each key of the document stands.
    pub(super) fn locate(&mut self, document: &DeTable) {
        self.locate_table(document, "");
    }

    fn locate_table(&mut self, table: &DeTable, path: &str) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.locate_value(value.get_ref(), key.span(), value.span(), path);
        }
    }

    fn locate_value(&mut self, value: &DeValue, key: Range<usize>, span: Range<usize>, path: String) {
        let scalar = !matches!(value, DeValue::Table(_));
        match value {
            DeValue::Table(table) => self.locate_table(table, &path),
            DeValue::Array(array) => {
                for (index, element) in array.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.locate_value(element.get_ref(), element.span(), element.span(), path);
                }
            }
            _ => {}
        }
        self.places.insert(path, Place { key, value: scalar.then_some(span) });
    }

    /// Keeps that `path` (without indices) is a key of the file.
    pub(super) fn asked(&self, path: String) {
        self.asked.borrow_mut().insert(path);
    }

    /// Each key that was asked for.
    #[cfg(test)]
    pub(super) fn keys_asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// Whether the file has the key.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The value of this key is wrong.
    pub(super) fn error(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let at = self.place_of(key, |place| place.value.clone().unwrap_or(place.key.clone()));
        self.add(Severity::Error, at, key, message.into(), remedy.into());
    }

    /// This key itself is wrong.
    pub(super) fn error_of_key(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let at = self.place_of(key, |place| place.key.clone());
        self.add(Severity::Error, at, key, message.into(), remedy.into());
    }

    /// The value of this key is a risk, or cannot be meant.
    pub(super) fn warning(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let at = self.place_of(key, |place| place.value.clone().unwrap_or(place.key.clone()));
        self.add(Severity::Warning, at, key, message.into(), remedy.into());
    }

    /// The text is not TOML.
    pub(super) fn syntax_error(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(self.text.len(), |span| span.start);
        let message = error.message();
        self.add(Severity::Error, at, "", format!("not TOML: {message}"), remedy_of(message).to_owned());
        let (line, _) = self.line_and_column(at);
        self.broken_lines.push(line);
    }

    /// The line of a key, from 1.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.line_and_column(self.place_of(key, |place| place.key.clone())).0
    }

    /// The problems in the order of the file, errors first where two stand at one place.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.take();
        // What else is wrong with a line that is not TOML is a consequence.
        let broken: Vec<_> = self.broken_lines.iter().map(|&line| line..self.end_of_break(line)).collect();
        let follows = |problem: &Problem| broken.iter().any(|lines| lines.contains(&problem.line));
        problems.retain(|problem| problem.key.is_empty() || !follows(problem));
        problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
        problems
    }

    /// Whether part of the file could not be understood.
    pub(super) fn has_broken_lines(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// The first line after `line` that means what it says. Without its header a section's keys do not.
    fn end_of_break(&self, line: usize) -> usize {
        let mut following =
            self.text.split('\n').skip(line - 1).map(|line| line.trim_start().starts_with('['));
        match following.next() {
            Some(true) => {
                following.position(|is_header| is_header).map_or(usize::MAX, |lines| line + 1 + lines)
            }
            _ => line + 1,
        }
    }

    fn add(&self, severity: Severity, at: usize, key: &str, message: String, remedy: String) {
        let (line, column) = self.line_and_column(at);
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.problems.borrow_mut().push(Problem { severity, file, line, column, key, message, remedy });
    }

    /// The byte at which `key` stands, or the nearest section around it that is written, or the file's start.
    fn place_of(&self, key: &str, span: impl Fn(&Place) -> Range<usize>) -> usize {
        let mut path = key;
        loop {
            if let Some(place) = self.places.get(path) {
                return if path == key { span(place).start } else { place.key.start };
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0,
            }
        }
    }

    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|&start| start <= at).max(1);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or("");
        (line, before.chars().count() + 1)
    }
}

/// The dotted path of `key` in the section `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What to do about a message of the TOML parser.
fn remedy_of(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    if message.contains("duplicate key") {
        "keep one of the two; a list has a header of two brackets, as [[feeds]]"
    } else if message.contains("string values must be quoted") || message.contains("missing value") {
        "write a value: texts, durations and sizes stand in double quotes, as latency = \"120ms\""
    } else if message.contains("basic string") || message.contains("literal string") {
        "close the text with the quote it began with, on the same line"
    } else if message.contains("table") || message.contains("bracket") {
        "write a section as [edge.http] and an entry of a list as [[feeds]], each on its own line"
    } else if message.contains("array") {
        "write a list as [\"one\", \"two\"]"
    } else {
        "write one `key = value` a line; texts, durations and sizes stand in double quotes"
    }
}
