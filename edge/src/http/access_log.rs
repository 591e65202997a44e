//! A line for each request, in the combined form or as JSON, written by a thread of its own.
//!
//! What could let someone else in is left out: credentials, and the query of the request and of its `Referer`.

mod writer;

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use flambeau_config::LogFormat;
use flambeau_media::Utc;
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Version};

use super::stats::{Event, Stats};
use super::viewers::Watching;

/// The access log; cheap to clone. It is written to the end once the last clone and the last line are dropped.
#[derive(Debug, Clone)]
pub(super) struct AccessLog {
    queue: SyncSender<String>,
    format: LogFormat,
    stats: Arc<Stats>,
}

/// Why there is no access log.
#[derive(Debug, thiserror::Error)]
#[error("the access log {} cannot be written: {source}", .path.display())]
pub struct AccessLogError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl AccessLog {
    /// Appends to the file at `path`, which is opened anew when something else takes its place.
    pub(super) fn open(path: PathBuf, format: LogFormat, stats: Arc<Stats>) -> Result<Self, AccessLogError> {
        match writer::start(path.clone()) {
            Ok(queue) => Ok(Self { queue, format, stats }),
            Err(source) => Err(AccessLogError { path, source }),
        }
    }

    /// Begins the line of a request.
    pub(super) fn line<B>(&self, peer: IpAddr, request: &Request<B>) -> Line {
        let fields = request.headers();
        Line {
            log: self.clone(),
            peer: peer.to_canonical(),
            user: None,
            at: Utc::now(),
            began: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            version: request.version(),
            referer: field(fields, REFERER).map(|referer| without_query(&referer).to_owned()),
            agent: field(fields, USER_AGENT),
            status: CLIENT_LEFT,
            bytes: 0,
        }
    }
}

/// The line of a request. It is written when it is dropped: when the response has been sent, or broke off.
#[derive(Debug)]
pub(super) struct Line {
    log: AccessLog,
    peer: IpAddr,
    user: Option<String>,
    at: Utc,
    began: Instant,
    method: Method,
    path: String,
    version: Version,
    referer: Option<String>,
    agent: Option<String>,
    status: u16,
    bytes: u64,
}

impl Line {
    /// The response has begun.
    pub(super) fn answered(mut self, status: StatusCode, viewer: Option<&Watching>) -> Self {
        self.status = status.as_u16();
        self.user = viewer.and_then(Watching::broadcaster).map(ToString::to_string);
        self
    }

    /// Bytes of its body were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The form of Apache httpd's `combined`.
    fn combined(&self) -> String {
        let mut line = String::with_capacity(200);
        let user = self.user.as_deref().unwrap_or("-");
        // Writing to a String cannot fail.
        let _ = write!(line, "{} - {user} [{}] \"", self.peer, common_date(self.at));
        escape(&mut line, self.method.as_str());
        line.push(' ');
        escape(&mut line, &self.path);
        let _ = write!(line, " {:?}\" {} ", self.version, self.status);
        match self.bytes {
            0 => line.push('-'),
            bytes => drop(write!(line, "{bytes}")),
        }
        for text in [&self.referer, &self.agent] {
            line.push_str(" \"");
            escape(&mut line, text.as_deref().unwrap_or("-"));
            line.push('"');
        }
        line.push('\n');
        line
    }

    fn json(&self) -> String {
        let mut line = serde_json::json!({
            "at": self.at.to_string(),
            "peer": self.peer,
            "user": self.user,
            "method": self.method.as_str(),
            "path": self.path,
            "version": format!("{:?}", self.version),
            "status": self.status,
            "bytes": self.bytes,
            // A response takes less than the centuries 64 bits hold.
            "ms": self.began.elapsed().as_millis() as u64,
            "referer": self.referer,
            "agent": self.agent,
        })
        .to_string();
        line.push('\n');
        line
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let line = match self.log.format {
            LogFormat::Human => self.combined(),
            LogFormat::Json => self.json(),
        };
        if self.log.queue.try_send(line).is_err() {
            self.log.stats.count(Event::LogLineDropped);
        }
    }
}

/// A field's text, as far as a line has room for it.
fn field(fields: &HeaderMap, name: HeaderName) -> Option<String> {
    let bytes = fields.get(name)?.as_bytes();
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(FIELD_BYTES_MAX)]).into_owned())
}

fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

/// Nobody may end a line or a quoted text but we.
fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if c.is_control() => drop(write!(line, "\\x{:02x}", u32::from(c))),
            c => line.push(c),
        }
    }
}

/// `22/Nov/2026:16:49:32 +0000`.
fn common_date(at: Utc) -> String {
    // 2026-11-22T16:49:32.000Z
    let text = at.to_string();
    let (Some(date), Some(time)) = (text.get(..10), text.get(11..19)) else { return text };
    let mut date = date.split('-');
    let (year, month, day) = (date.next(), date.next(), date.next());
    let month = month.and_then(|month| month.parse::<usize>().ok()).and_then(|month| MONTHS.get(month - 1));
    let (Some(year), Some(month), Some(day)) = (year, month, day) else { return text };
    format!("{day}/{month}/{year}:{time} +0000")
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// As nginx has it: the client went away before there was a response.
const CLIENT_LEFT: u16 = 499;
const FIELD_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests;
