//! MPEG-2 transport streams (ISO/IEC 13818-1): packets, tables, PES, and the way from packets to Samples.
//!
//! [`packet`] reads one packet's head, [`psi`] puts sections together, [`program`] follows PAT and PMT,
//! [`stream`] says what an elementary stream is, [`pes`] puts PES packets together, [`timeline`] undoes the
//! 33-bit wraps, and [`demux`] makes Samples of it all.
//!
//! A stream of several programmes is read as the first one of its PAT that has picture or sound; the transport
//! lane carries them all.

pub mod demux;
pub mod packet;
pub mod pes;
pub mod program;
pub mod psi;
pub mod stream;
pub mod timeline;

pub use packet::{NULL_PID, PACKET_BYTES, PIDS, SYNC_BYTE};

/// Reads a clock of 33 bits as PES headers write it (13818-1, 2.4.3.6): 4 + 3, 15 and 15 bits, a marker after each.
pub(crate) fn read_stamp(data: &[u8]) -> Option<u64> {
    let &[a, b, c, d, e, ..] = data else { return None };
    // Encoders exist that leave the marker bits out; the value is good all the same.
    let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
    Some((a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}
