//! The handshake of caller and listener, version 5 (the draft, 3.2.1 and 4.3.1).
//!
//! ```text
//! caller                                                listener
//!   │── induction (version 4) ───────────────────────────▶│  answers, keeps nothing
//!   │◀── induction (version 5, cookie) ───────────────────│
//!   │── conclusion (cookie, HSREQ, KMREQ, stream id) ────▶│  the cookie proves the address: now it may cost something
//!   │◀── conclusion (HSRSP, KMRSP), or a rejection ───────│
//! ```
//!
//! Version 4, rendezvous, connection groups, packet filters and file mode are turned down with their codes.

pub mod caller;
mod cookie;
mod extension;
pub mod listener;
mod negotiated;
#[cfg(test)]
mod tests;
mod wire;

pub use cookie::CookieSecret;
pub use extension::{Extension, Extensions, Flags, HandshakeExtension, Version};
pub use negotiated::Negotiated;
pub use wire::{HANDSHAKE_BYTES, Handshake, HandshakeKind, MAGIC};

/// The version we tell peers: that of the libsrt whose behaviour this follows.
pub const OUR_VERSION: Version = Version(0x01_05_03);

/// What we tell peers to support.
pub const OUR_FLAGS: Flags = Flags(
    Flags::TSBPD_SENDER.0
        | Flags::TSBPD_RECEIVER.0
        | Flags::CRYPT.0
        | Flags::TLPKTDROP.0
        | Flags::PERIODIC_NAK.0
        | Flags::REXMIT.0,
);
