//! A viewer of HLS, with low latency or without (RFC 8216bis).
//!
//! [`playlist`] reads Playlists, [`follow`] decides what to fetch next, [`viewer`] fetches and plays it.

pub mod follow;
pub mod playlist;
pub mod viewer;
