//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong. A [`Severity::Error`] keeps the node from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the node would run all the same.
    pub severity: Severity,
    /// The file it stands in.
    pub file: PathBuf,
    /// Its line, from 1; 0 where the file could not be read at all.
    pub line: usize,
    /// Its column in characters, from 1; 0 where the file could not be read at all.
    pub column: usize,
    /// The key as a dotted path, `feeds[2].passphrase`; empty where no key can be told.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// How much a [`Problem`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It keeps the node from running.
    Error,
    /// It looks wrong, or is a risk, and the node runs.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Problem {
    /// Two lines: `FILE:LINE:COLUMN: error: KEY: what is wrong`, and the remedy below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}: ", self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    {}", self.message, self.remedy)
    }
}
