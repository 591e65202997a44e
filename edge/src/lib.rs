//! Delivery: one module for each protocol by which broadcasters and players take Feeds and Channels.

pub mod http;
pub mod srt;
