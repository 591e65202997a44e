//! mpegts
