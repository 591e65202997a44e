//! ISO BMFF for CMAF: a Track's init segment and its fragments (ISO/IEC 14496-12, ISO/IEC 23000-19).
//!
//! [`init_segment`] writes what a player needs before the first Part; [`Fragment`] writes a Part: one CMAF
//! chunk. Both are written by hand rather than through `mp4-atom`: codec configurations go in as the bytes
//! they came as, and a Part is one allocation into which each payload is copied once. The tests read them
//! back with `mp4-atom`.

mod boxes;
mod entry;
mod fragment;
mod init;

pub use fragment::{EVENT_SCHEME, EventMessage, Fragment, FragmentSample, empty_segment};
pub use init::init_segment;

/// The `track_ID` of every Track: a CMAF Track is a file of its own.
pub const TRACK_ID: u32 = 1;

#[cfg(test)]
mod tests;
