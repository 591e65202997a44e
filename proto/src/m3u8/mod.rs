//! HLS Playlists as text (RFC 8216bis): a pure render of what the caller decided.
//!
//! [`Media`] is the Playlist of one Rendition, low-latency tags included; [`IFrames`] that of its key frames;
//! [`Multivariant`] the one that names the Renditions. Nothing is kept between two renders, but by the caller:
//! the [`Lines`] of a finished Segment do not change.

mod date_range;
mod iframes;
mod media;
mod multivariant;
mod segment;

pub use date_range::{DateRange, Scte35};
pub use iframes::{IFrame, IFrames};
pub use media::{Media, Report};
pub use multivariant::{Audio, Multivariant, Video};
pub use segment::{Lines, Part, Segment};

/// The media type of a Playlist (RFC 8216bis 4).
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// A quoted string may hold neither line ends nor double quotes (RFC 8216bis 4.2).
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '"' | '\r' | '\n')).collect()
}

#[cfg(test)]
mod tests;
