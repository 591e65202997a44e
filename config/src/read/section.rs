//! A table of the file, and the keys that were asked of it.

use std::fs;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::secret::Secret;

use super::report::{Report, join};
use super::value::{Bytes, Quantity, SecretText, Value, article, mistaken};

/// Takes values off one table. What is wrong is reported and leaves the default in place.
pub(super) struct Section<'a> {
    report: &'a Report<'a>,
    table: Option<&'a DeTable<'a>>,
    /// As written: `feeds[2]`.
    path: String,
    /// Without indices: `feeds`.
    kind: String,
    known: Vec<String>,
}

impl<'a> Section<'a> {
    pub(super) fn root(report: &'a Report<'a>, document: &'a DeValue<'a>) -> Self {
        Self::new(report, document.as_table(), String::new(), String::new())
    }

    fn new(report: &'a Report<'a>, table: Option<&'a DeTable<'a>>, path: String, kind: String) -> Self {
        Self { report, table, path, kind, known: Vec::new() }
    }

    /// The section `key` of this one; empty if the file has none.
    pub(super) fn section(&mut self, key: &str) -> Self {
        let (path, kind) = (join(&self.path, key), join(&self.kind, key));
        let table = match self.find(key) {
            Some(DeValue::Table(table)) => Some(table),
            Some(DeValue::Array(_)) => {
                let remedy = format!("write [{kind}] with one pair of brackets");
                self.report.error_of_key(&path, "it is a section, and written as a list", remedy);
                None
            }
            Some(other) => {
                let message = format!("it is a section, and written as {}", article(other));
                self.report.error_of_key(&path, message, format!("write [{kind}] and its keys below"));
                None
            }
            None => None,
        };
        Self::new(self.report, table, path, kind)
    }

    /// The entries of the list of sections `key`.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Self> {
        let (path, kind) = (join(&self.path, key), join(&self.kind, key));
        let remedy = format!("write [[{kind}]] with two pairs of brackets, once per entry");
        let array = match self.find(key) {
            None => return Vec::new(),
            Some(DeValue::Array(array)) => array,
            Some(_) => {
                self.report.error_of_key(&path, "it is a list of sections, and written as one", remedy);
                return Vec::new();
            }
        };
        let entry = |(index, element): (usize, &'a toml::Spanned<DeValue<'a>>)| {
            let path = format!("{path}[{index}]");
            let table = element.get_ref().as_table();
            if table.is_none() {
                let message = format!("an entry is a section, this one is {}", article(element.get_ref()));
                self.report.error(&path, message, remedy.as_str());
            }
            table.map(|table| Self::new(self.report, Some(table), path, kind.clone()))
        };
        array.iter().enumerate().filter_map(entry).collect()
    }

    /// The value of `key`, if it is given and right.
    pub(super) fn take<T: Value>(&mut self, key: &str) -> Option<T> {
        let value = self.find(key)?;
        self.read(&join(&self.path, key), value)
    }

    /// The value of `key`, which must be given.
    pub(super) fn required<T: Value>(&mut self, key: &str) -> Option<T> {
        let found = self.find(key);
        if found.is_none() && !self.report.has_broken_lines() {
            let path = join(&self.path, key);
            self.report.error(
                &path,
                format!("{key} is missing"),
                format!("add {key} = {} to this [[{}]]", T::EXAMPLE, self.kind),
            );
        }
        self.read(&join(&self.path, key), found?)
    }

    /// Sets `into` to the value of `key`, if it is given and right.
    pub(super) fn value<T: Value>(&mut self, key: &str, into: &mut T) {
        if let Some(value) = self.take(key) {
            *into = value;
        }
    }

    /// As [`Section::value`], for a value that has bounds.
    pub(super) fn within<T: Value + Quantity>(&mut self, key: &str, into: &mut T, bounds: RangeInclusive<T>) {
        let mut taken = None;
        self.option_within(key, &mut taken, bounds);
        if let Some(value) = taken {
            *into = value;
        }
    }

    /// As [`Section::within`], for a value that has no default.
    pub(super) fn option_within<T: Value + Quantity>(
        &mut self,
        key: &str,
        into: &mut Option<T>,
        bounds: RangeInclusive<T>,
    ) {
        let Some(value) = self.take::<T>(key) else { return };
        if bounds.contains(&value) {
            *into = Some(value);
            return;
        }
        let (least, most) = (bounds.start().render(), bounds.end().render());
        let (side, bound) = if value < *bounds.start() { ("least", &least) } else { ("most", &most) };
        self.report.error(
            &join(&self.path, key),
            format!("{} is out of bounds: at {side} {bound}", value.render()),
            format!("choose a value from {least} to {most}"),
        );
    }

    /// As [`Section::within`], for a size in bytes.
    pub(super) fn bytes(&mut self, key: &str, into: &mut usize, bounds: RangeInclusive<u64>) {
        let mut bytes = Bytes(*into as u64);
        self.within(key, &mut bytes, Bytes(*bounds.start())..=Bytes(*bounds.end()));
        // The bounds keep it far below what 64 bits of address space hold.
        *into = usize::try_from(bytes.0).unwrap_or(usize::MAX);
    }

    /// Sets `into` to the right ones of the values of the list `key`, if it is given.
    pub(super) fn list<T: Value, U>(&mut self, key: &str, into: &mut Vec<U>, unwrap: impl Fn(T) -> U) {
        let path = join(&self.path, key);
        let Some(value) = self.find(key) else { return };
        let DeValue::Array(array) = value else {
            self.report.error(
                &path,
                format!("it is a list, and written as {}", article(value)),
                format!("write it in brackets: {key} = [{}]", T::EXAMPLE),
            );
            return;
        };
        let read = |(index, element): (usize, &toml::Spanned<DeValue>)| {
            self.read(&format!("{path}[{index}]"), element.get_ref()).map(&unwrap)
        };
        *into = array.iter().enumerate().filter_map(read).collect();
    }

    /// The path `key` says, relative to the directory of the configuration's own file.
    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        let path: String = self.take(key)?;
        Some(self.report.file().parent().unwrap_or(Path::new("")).join(path))
    }

    /// Sets `into` to the secret `key`, or to what is in the file `key_file`; its length in bytes has bounds.
    pub(super) fn secret(&mut self, key: &str, into: &mut Option<Secret>, bounds: RangeInclusive<usize>) {
        let (file_key, path) = (format!("{key}_file"), join(&self.path, key));
        let inline = self.take::<SecretText>(key).map(|SecretText(text)| text);
        let file_path = join(&self.path, &file_key);
        let from_file: Option<String> = self.take(&file_key);
        if self.report.is_given(&path) && self.report.is_given(&file_path) {
            let message = format!("both {key} and {file_key} are given");
            self.report.error_of_key(&file_path, message, "keep one of the two");
            return;
        }
        let (path, text) = match (inline, from_file) {
            (Some(text), _) => (path, Some(text)),
            (None, Some(file)) => {
                let text = self.secret_in_file(&file_path, Path::new(&file));
                (file_path, text)
            }
            (None, None) => return,
        };
        let Some(text) = text else { return };
        if bounds.contains(&text.len()) {
            *into = Some(Secret::new(&text));
            return;
        }
        let (least, most) = (bounds.start(), bounds.end());
        self.report.error(
            &path,
            format!("a {key} has {least} to {most} bytes, this one has {}", text.len()),
            format!("choose a {key} of {least} to {most} bytes, as `openssl rand -hex 16` prints"),
        );
    }

    /// The text of a secret's file, its last line break left out.
    fn secret_in_file(&self, key: &str, file: &Path) -> Option<String> {
        let file = self.report.file().parent().unwrap_or(Path::new("")).join(file);
        let mut text = String::new();
        let read =
            fs::File::open(&file).and_then(|file| file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text));
        if let Err(error) = read {
            let message = format!("{} cannot be read: {error}", file.display());
            self.report.error(key, message, "give the path of a file with the secret alone in it");
            return None;
        }
        if readable_by_others(&file) {
            self.report.warning(
                key,
                format!("{} can be read by other users of this machine", file.display()),
                format!("chmod 600 {}", file.display()),
            );
        }
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Some(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    /// Reports each key that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.table.into_iter().flat_map(DeTable::keys) {
            let key: &str = key.get_ref();
            if !self.known.iter().any(|known| known == key) {
                let remedy = mistaken(key, &self.known, &self.kind);
                self.report.error_of_key(&join(&self.path, key), "there is no such key", remedy);
            }
        }
    }

    fn find(&mut self, key: &str) -> Option<&'a DeValue<'a>> {
        self.report.asked(join(&self.kind, key));
        self.known.push(key.to_owned());
        self.table?.get(key).map(toml::Spanned::get_ref)
    }

    fn read<T: Value>(&self, path: &str, value: &DeValue) -> Option<T> {
        match T::read(value) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.report.error(path, fault.message, fault.remedy);
                None
            }
        }
    }
}

#[cfg(unix)]
pub(super) fn readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(super) fn readable_by_others(_: &Path) -> bool {
    false
}

const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;
