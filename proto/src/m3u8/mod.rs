//! HLS Playlists as text (RFC 8216bis): a pure render of what the caller decided.
//!
//! [`Media`] is the Playlist of one Rendition, low-latency tags included; [`Multivariant`] the one that names
//! the Renditions. Nothing is kept between two renders.

mod media;
mod multivariant;

pub use media::{Media, Part, Segment};
pub use multivariant::{Audio, Multivariant, Video};

/// The media type of a Playlist (RFC 8216bis 4).
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// A quoted string may hold neither line ends nor double quotes (RFC 8216bis 4.2).
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '"' | '\r' | '\n')).collect()
}

#[cfg(test)]
mod tests;
