//! Secure Reliable Transport (SRT), live mode: a sans-IO protocol core and a tokio endpoint.
//!
//! [`protocol`] holds the formats, the handshake, the encryption and the state of a connection. It opens no socket and
//! reads no clock: datagrams and the time are arguments. It knows nothing of what is carried.

pub mod endpoint;
pub mod protocol;
