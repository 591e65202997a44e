//! Why a handshake is turned down.
//!
//! A reason has a code as libsrt's `srt_getrejectreason` tells it: 0 to 17 for the protocol's own, 1000 to 1999 for those
//! of the Access Control guideline, 2000 and more for an application's. On the wire every one of them stands 1000 higher
//! in the handshake type (libsrt `URQFailure`): "wrong passphrase" travels as 1010, "not found" as 2404.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A reason to turn a handshake down.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// A code without a name here: an application's own (2000 and more), or one that is too new.
            Other(u32),
        }

        impl Reason {
            /// The code as libsrt's interface tells it.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The reason of a code as libsrt's interface tells it.
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }

        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::Other(code) => write!(f, "rejected with code {code}"),
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Reason] = &[$(Reason::$name,)*];
    };
}

reasons! {
    /// No reason is known.
    Unknown = 0, "rejected for a reason that was not given";
    /// A system call failed.
    System = 1, "a system call failed on the peer's machine";
    /// The peer's application declined.
    Peer = 2, "the peer declined the connection";
    /// Memory or another resource ran out.
    Resource = 3, "the peer ran out of resources";
    /// The handshake carried wrong data.
    Rogue = 4, "the handshake is malformed";
    /// Too many connections wait for an answer.
    Backlog = 5, "too many connections wait to be accepted";
    /// A fault of the program.
    Internal = 6, "an internal error occurred";
    /// The listener is closing.
    Close = 7, "the listener is closing";
    /// The peer speaks a version that is not supported.
    Version = 8, "the handshake or SRT version is not supported";
    /// Cookies of a rendezvous collided, or a cookie is wrong.
    Cookie = 9, "the handshake cookie is wrong";
    /// The passphrases differ.
    BadSecret = 10, "the passphrase is wrong";
    /// One side asks for encryption, the other has no passphrase.
    Unsecure = 11, "one side has a passphrase and the other has none";
    /// One side uses the stream interface, the other the message interface.
    MessageApi = 12, "the peers use different interfaces (stream and message)";
    /// The congestion controls differ.
    Congestion = 13, "the congestion control is not supported";
    /// The packet filters differ.
    Filter = 14, "the packet filter is not supported";
    /// Connection groups are not supported.
    Group = 15, "connection groups (bonding) are not supported";
    /// No answer in time.
    Timeout = 16, "the peer did not answer in time";
    /// The encryption modes differ.
    Crypto = 17, "the encryption mode is not supported";
    /// A problem that the application cannot name.
    Fallback = 1000, "the application reported a problem";
    /// A key of the Stream ID is not supported.
    KeyNotSupported = 1001, "a key of the stream id is not supported";
    /// The path of a file is wrong.
    FilePath = 1002, "the path is wrong or does not exist";
    /// The host of the Stream ID is not known.
    HostNotFound = 1003, "the host in the stream id is not known";
    /// The Stream ID is malformed.
    BadRequest = 1400, "the stream id is malformed";
    /// The user is known, the authentication failed.
    Unauthorized = 1401, "authentication failed";
    /// The server or the account is overloaded.
    Overload = 1402, "the server is overloaded, or the account's quota is used up";
    /// Access denied.
    Forbidden = 1403, "access is denied";
    /// There is no such resource now.
    NotFound = 1404, "the resource is not found";
    /// The mode is not supported for this resource.
    BadMode = 1405, "the mode in the stream id is not supported here";
    /// The parameters cannot be satisfied.
    Unacceptable = 1406, "the requested parameters cannot be satisfied";
    /// Someone else publishes this resource.
    Conflict = 1409, "the resource is already being published";
    /// The media type is not supported.
    MediaNotSupported = 1415, "the media type is not supported";
    /// The resource is locked for every access.
    Locked = 1423, "the resource is locked";
    /// The session this one depends on is gone.
    FailedDependency = 1424, "the session this one depends on has ended";
    /// An unexpected error of the server.
    ServerError = 1500, "the server failed";
    /// The request is understood but not supported.
    Unimplemented = 1501, "the request is not supported by this server";
    /// The server behind this gateway rejected the connection.
    Gateway = 1502, "the server behind this gateway rejected the connection";
    /// The service is down.
    Down = 1503, "the service is down";
    /// This version is not supported by the application.
    ApplicationVersion = 1505, "the version is not supported by the application";
    /// There is no room to archive the stream.
    NoRoom = 1507, "there is no storage left";
}

impl Reason {
    /// The code as it stands in the handshake type field.
    pub const fn to_wire(self) -> u32 {
        WIRE_OFFSET.wrapping_add(self.code())
    }

    /// The reason in a handshake type field, or none where the field is no rejection.
    pub const fn from_wire(handshake_type: u32) -> Option<Self> {
        // Values with the highest bit set are the negative handshake types.
        if handshake_type < WIRE_OFFSET || handshake_type > i32::MAX as u32 {
            return None;
        }
        Some(Self::from_code(handshake_type - WIRE_OFFSET))
    }
}

const WIRE_OFFSET: u32 = 1000;

/// Why a caller is turned away: the code it gets, and what the operator reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub reason: Reason,
    /// The operator's sentence.
    pub why: String,
}

impl Refusal {
    /// A refusal for `reason`, and the sentence that says more.
    pub fn new(reason: Reason, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for &reason in ALL {
            assert_eq!(Reason::from_wire(reason.to_wire()), Some(reason));
            assert!(!reason.to_string().is_empty());
        }
        assert_eq!(Reason::from_wire(3042), Some(Reason::Other(2042)));
    }

    #[test]
    fn codes_stand_1000_higher_on_the_wire() {
        assert_eq!(Reason::BadSecret.to_wire(), 1010);
        assert_eq!(Reason::NotFound.to_wire(), 2404);
    }

    #[test]
    fn handshake_types_are_no_rejections() {
        for handshake_type in [0, 1, 0xffff_ffff, 0xffff_fffe, 999] {
            assert_eq!(Reason::from_wire(handshake_type), None);
        }
    }
}
