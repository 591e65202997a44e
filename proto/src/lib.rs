//! Formats, sans-IO: bytes in, values out, and back. No tokio, no socket, no clock.
//!
//! Everything here parses hostile input: a malformed packet is an error or is counted, never a panic.

pub mod codec;
pub mod isobmff;
pub mod m3u8;
pub mod mpd;
pub mod mpegts;
pub mod scte35;
