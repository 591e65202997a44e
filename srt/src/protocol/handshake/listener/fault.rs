//! What may be wrong with a conclusion.

use super::Version;
use crate::protocol::crypto::KeyMaterialError;
use crate::protocol::packet::WireError;
use crate::protocol::reject::Reason;
use crate::protocol::stream_id::StreamIdError;

/// A conclusion that comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Rejection {
    /// What is wrong.
    pub fault: Fault,
    /// The answer to send, or none where there must not be one: the sender has not shown that the address is its own.
    pub datagram: Option<Vec<u8>>,
}

impl Rejection {
    /// The code that the answer carries.
    pub fn reason(&self) -> Reason {
        self.fault.reason()
    }

    pub(super) fn silent(fault: Fault) -> Self {
        Self { fault, datagram: None }
    }
}

/// What is wrong with a conclusion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another packet.
    #[error("not the conclusion of a handshake")]
    NotAConclusion,
    /// The cookie is not this peer's, or too old.
    #[error("the handshake cookie is wrong or too old")]
    Cookie,
    /// It cannot be read.
    #[error("the handshake is malformed: {0}")]
    Wire(#[from] WireError),
    /// A field has a value that no caller may send.
    #[error("the handshake's {field} is {value}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// Another version of the handshake.
    #[error("handshake version {0} is not supported, only 5")]
    HandshakeVersion(u32),
    /// An SRT version that does not go with version 5 of the handshake.
    #[error("SRT version {0} is too old: at least 1.3.0 is needed")]
    SrtVersion(Version),
    /// The extension with version, flags and latency is missing.
    #[error("the handshake has no HSREQ extension")]
    Missing,
    /// An extension stands twice.
    #[error("the handshake has two extensions of type {0}")]
    Repeated(u16),
    /// The caller uses the stream interface of file mode.
    #[error("the caller uses the stream interface, only live mode is supported")]
    StreamInterface,
    /// Another congestion control than that of live mode.
    #[error("the caller asks for a congestion control other than \"live\"")]
    Congestion,
    /// A packet filter.
    #[error("the caller asks for a packet filter, which is not supported")]
    Filter,
    /// A connection group.
    #[error("the caller asks for a connection group, which is not supported")]
    Group,
    /// The Stream ID cannot be read.
    #[error(transparent)]
    StreamId(#[from] StreamIdError),
    /// The key material cannot be read.
    #[error(transparent)]
    KeyMaterial(#[from] KeyMaterialError),
}

impl Fault {
    /// The code that tells the caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Cookie => Reason::Cookie,
            Self::HandshakeVersion(_) | Self::SrtVersion(_) => Reason::Version,
            Self::StreamInterface => Reason::MessageApi,
            Self::Congestion => Reason::Congestion,
            Self::Filter => Reason::Filter,
            Self::Group => Reason::Group,
            Self::StreamId(_) => Reason::BadRequest,
            Self::KeyMaterial(KeyMaterialError::Cipher { .. }) => Reason::Crypto,
            Self::NotAConclusion
            | Self::Wire(_)
            | Self::Field { .. }
            | Self::Missing
            | Self::Repeated(_)
            | Self::KeyMaterial(_) => Reason::Rogue,
        }
    }
}
