//! MPEG-2 transport streams (ISO/IEC 13818-1): packets, tables, PES, and the way from packets to Samples.
//!
//! [`packet`] reads one packet's head, [`program`] follows PAT and PMT, [`pes`] puts elementary stream packets
//! together, [`timeline`] undoes the 33-bit wraps, and [`demux`] makes Samples of it all. A stream of several
//! programmes is read as its first programme that has picture or sound; the transport lane carries them all.

pub mod demux;

/// Bytes of a transport stream packet (ISO/IEC 13818-1, 2.4.3.2).
pub const PACKET_BYTES: usize = 188;

/// The first byte of every transport stream packet.
pub const SYNC_BYTE: u8 = 0x47;
