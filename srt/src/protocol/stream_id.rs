//! The Stream ID, by which a caller says what it wants: SRT Access Control syntax (libsrt, `access-control.md`) or bare
//! text.

use std::fmt;
use std::str::FromStr;

/// What a caller wants: `#!::r=FEED,m=publish,u=USER`, or a bare `FEED`, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamId {
    bare: Option<String>,
    pairs: Vec<(String, String)>,
}

/// Which way the data flows (key `m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The caller wants to receive.
    Request,
    /// The caller wants to send.
    Publish,
    /// Both.
    Bidirectional,
}

/// A Stream ID that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamIdError {
    /// It is too long.
    #[error("a stream id of {bytes} bytes: at most {} are allowed", StreamId::BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not UTF-8.
    #[error("the stream id is not UTF-8")]
    NotUtf8,
    /// It has a control character.
    #[error("the stream id has a control character")]
    Control,
    /// It begins with `#!:` and goes on with a form that is not supported.
    #[error("the stream id begins with \"#!:\" but not with \"#!::\"; nested forms are not supported")]
    Form,
    /// A part between commas is no pair.
    #[error("{0:?} in the stream id is not KEY=VALUE")]
    NotAPair(String),
    /// A key stands twice.
    #[error("the stream id names {0:?} twice")]
    Twice(String),
    /// The value of `m` is none of the three.
    #[error("the mode {0:?} is not request, publish or bidirectional")]
    Mode(String),
}

impl StreamId {
    /// The longest Stream ID in bytes (libsrt `CSrtConfig::MAX_SID_LENGTH`).
    pub const BYTES_MAX: usize = 512;

    /// A Stream ID that is only text; empty text asks for nothing.
    pub fn bare(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { bare: (!text.is_empty()).then_some(text), pairs: Vec::new() }
    }

    /// A Stream ID in Access Control syntax that names a resource and a mode.
    pub fn access(resource: impl Into<String>, mode: Mode) -> Self {
        let pairs = vec![("r".into(), resource.into()), ("m".into(), mode.as_str().into())];
        Self { bare: None, pairs }
    }

    /// The same with one more pair, such as `u` and a user name. Replaces the value of a key that is there.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.pairs.retain(|(have, _)| have != key);
        self.pairs.push((key.into(), value.into()));
        self
    }

    /// Reads the bytes of a handshake: UTF-8 without the zeros that fill it up.
    ///
    /// # Errors
    /// As [`StreamId::from_str`], and for bytes that are not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StreamIdError> {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if end > Self::BYTES_MAX {
            return Err(StreamIdError::TooLong { bytes: end });
        }
        std::str::from_utf8(&bytes[..end]).map_err(|_| StreamIdError::NotUtf8)?.parse()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bare.is_none() && self.pairs.is_empty()
    }

    /// Whether it is text without syntax.
    pub fn is_bare(&self) -> bool {
        self.bare.is_some()
    }

    /// The resource: key `r`, or the bare text.
    pub fn resource(&self) -> Option<&str> {
        self.bare.as_deref().or_else(|| self.value("r"))
    }

    /// Which way the data flows: key `m`. Where it is not said, the guideline takes `request`; that is the caller's
    /// business, as a listener may serve one direction only.
    pub fn mode(&self) -> Option<Mode> {
        self.value("m").and_then(Mode::from_name)
    }

    /// The user: key `u`.
    pub fn user(&self) -> Option<&str> {
        self.value("u")
    }

    /// The session: key `s`.
    pub fn session(&self) -> Option<&str> {
        self.value("s")
    }

    /// The type of the connection: key `t`; `stream` where it is not said.
    pub fn kind(&self) -> Option<&str> {
        self.value("t")
    }

    /// The host: key `h`.
    pub fn host(&self) -> Option<&str> {
        self.value("h")
    }

    /// The value of any key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(have, _)| have == key).map(|(_, value)| value.as_str())
    }

    /// Every key with its value, in the order of the text.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl Mode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Publish => "publish",
            Self::Bidirectional => "bidirectional",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Request, Self::Publish, Self::Bidirectional].into_iter().find(|mode| mode.as_str() == name)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, StreamIdError> {
        if text.len() > Self::BYTES_MAX {
            return Err(StreamIdError::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(StreamIdError::Control);
        }
        if !text.starts_with(MARK) {
            return Ok(Self::bare(text));
        }
        let list = text.strip_prefix(LIST_MARK).ok_or(StreamIdError::Form)?;
        let mut stream_id = Self::default();
        for part in list.split(',').filter(|part| !part.is_empty()) {
            // A value may hold further equals signs, as a resource with a query has.
            let (key, value) = match part.split_once('=') {
                Some((key, value)) if !key.is_empty() => (key, value),
                _ => return Err(StreamIdError::NotAPair(part.into())),
            };
            if stream_id.value(key).is_some() {
                return Err(StreamIdError::Twice(key.into()));
            }
            if key == "m" && Mode::from_name(value).is_none() {
                return Err(StreamIdError::Mode(value.into()));
            }
            stream_id.pairs.push((key.into(), value.into()));
        }
        Ok(stream_id)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bare) = &self.bare {
            return f.write_str(bare);
        }
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            f.write_str(if index == 0 { LIST_MARK } else { "," })?;
            write!(f, "{key}={value}")?;
        }
        Ok(())
    }
}

/// What marks Access Control syntax.
const MARK: &str = "#!:";

/// What marks its form of a flat list.
const LIST_MARK: &str = "#!::";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn access_control_syntax_is_read() {
        let id: StreamId = "#!::r=athletics-main,m=publish,u=rtx,s=42,t=stream,h=olympics,acme_x=a=b"
            .parse()
            .expect("well formed");
        assert_eq!(id.resource(), Some("athletics-main"));
        assert_eq!(id.mode(), Some(Mode::Publish));
        assert_eq!(id.user(), Some("rtx"));
        assert_eq!(id.session(), Some("42"));
        assert_eq!(id.kind(), Some("stream"));
        assert_eq!(id.host(), Some("olympics"));
        assert_eq!(id.value("acme_x"), Some("a=b"));
        assert!(!id.is_bare());
    }

    #[test]
    fn bare_text_is_the_resource() {
        let id: StreamId = "athletics-main".parse().expect("well formed");
        assert_eq!(id.resource(), Some("athletics-main"));
        assert_eq!(id.mode(), None);
        assert!(id.is_bare());
    }

    #[test]
    fn nothing_asks_for_nothing() {
        let id = StreamId::from_bytes(&[0; 8]).expect("well formed");
        assert!(id.is_empty());
        assert_eq!(id.resource(), None);
    }

    #[test]
    fn filling_zeros_are_trimmed() {
        assert_eq!(StreamId::from_bytes(b"abcde\0\0\0").expect("well formed").resource(), Some("abcde"));
    }

    #[test]
    fn malformed_ids_say_what_is_wrong() {
        let error = |text: &str| text.parse::<StreamId>().expect_err("malformed");
        assert_eq!(error("#!:{r=x}"), StreamIdError::Form);
        assert_eq!(error("#!::r=x,feed"), StreamIdError::NotAPair("feed".into()));
        assert_eq!(error("#!::=x"), StreamIdError::NotAPair("=x".into()));
        assert_eq!(error("#!::r=x,r=y"), StreamIdError::Twice("r".into()));
        assert_eq!(error("#!::m=steal"), StreamIdError::Mode("steal".into()));
        assert_eq!(error("a\nb"), StreamIdError::Control);
        assert_eq!(error(&"a".repeat(513)), StreamIdError::TooLong { bytes: 513 });
        assert_eq!(StreamId::from_bytes(b"\xff\xfe"), Err(StreamIdError::NotUtf8));
        assert_eq!(StreamId::from_bytes(b"a\0b"), Err(StreamIdError::Control));
    }

    #[test]
    fn a_built_id_reads_back() {
        let id = StreamId::access("f", Mode::Request).with("u", "rtx");
        assert_eq!(id.to_string(), "#!::r=f,m=request,u=rtx");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(id) = StreamId::from_bytes(&bytes) {
                prop_assert_eq!(id.to_string().parse::<StreamId>(), Ok(id));
            }
        }

        #[test]
        fn any_marked_text_is_read_or_refused(text in "#!::[a-z=,#!]{0,40}") {
            if let Ok(id) = text.parse::<StreamId>() {
                prop_assert_eq!(id.to_string().parse::<StreamId>(), Ok(id));
            }
        }
    }
}
