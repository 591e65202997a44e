//! SCTE-35 splice information (ANSI/SCTE 35, 9.6): as much as a log line and a Feed's description need.

use crate::codec::bits::BitReader;
use crate::mpegts::psi::crc32;

/// Why a section is no splice information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// Its CRC does not hold.
    #[error("the CRC of a splice_info_section does not hold")]
    Crc,
    /// It is another table, or its fields run over its end.
    #[error("a splice_info_section's fields do not fit")]
    Malformed,
}

/// A `splice_info_section`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    /// The command.
    pub command: Command,
    /// `pts_adjustment`: to be added to every time in the command, 33 bits of 90 kHz.
    pub pts_adjustment: u64,
    /// The command is encrypted; it is [`Command::Other`] then.
    pub encrypted: bool,
}

/// A splice command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `splice_null`: a heartbeat.
    Null,
    /// `splice_insert`.
    Insert {
        /// `splice_event_id`.
        event: u32,
        /// The event is withdrawn; the fields that follow say nothing.
        cancelled: bool,
        /// Out of the network, rather than back into it.
        out_of_network: bool,
        /// When, 33 bits of 90 kHz, not adjusted; `None` for at once or by component.
        time: Option<u64>,
        /// `break_duration`, in ticks of 90 kHz.
        duration: Option<u64>,
    },
    /// `time_signal`.
    TimeSignal {
        /// When, 33 bits of 90 kHz, not adjusted.
        time: Option<u64>,
    },
    /// Any other, by `splice_command_type`.
    Other(u8),
}

impl Splice {
    /// Reads a section, its CRC included.
    ///
    /// # Errors
    /// [`SpliceError`] when its CRC does not hold or it is none.
    pub fn parse(section: &[u8]) -> Result<Self, SpliceError> {
        if section.first() != Some(&0xfc) {
            return Err(SpliceError::Malformed);
        }
        if crc32(section) != 0 {
            return Err(SpliceError::Crc);
        }
        Self::read(section).ok_or(SpliceError::Malformed)
    }

    // 9.6, table 5.
    fn read(section: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(section.split_last_chunk::<4>()?.0);
        // table_id to section_length, protocol_version.
        bits.skip(24 + 8)?;
        let encrypted = bits.flag()?;
        bits.skip(6)?;
        let pts_adjustment = read_33(&mut bits)?;
        // cw_index, tier, splice_command_length.
        bits.skip(8 + 12 + 12)?;
        let kind = bits.byte(8)?;
        let command = match kind {
            _ if encrypted => Command::Other(kind),
            0x00 => Command::Null,
            0x05 => read_insert(&mut bits)?,
            0x06 => Command::TimeSignal { time: read_time(&mut bits)? },
            kind => Command::Other(kind),
        };
        Some(Self { command, pts_adjustment, encrypted })
    }

    /// When the command takes effect, adjusted: 33 bits of 90 kHz. `None` for at once.
    pub fn time(&self) -> Option<u64> {
        let (Command::Insert { time, .. } | Command::TimeSignal { time }) = self.command else { return None };
        // 9.6.1: the carry is ignored.
        time.map(|time| (time + self.pts_adjustment) & ((1 << 33) - 1))
    }
}

// 9.7.3, table 9.
fn read_insert(bits: &mut BitReader<'_>) -> Option<Command> {
    let event = bits.bits(32)?;
    let cancelled = bits.flag()?;
    bits.skip(7)?;
    let mut insert = (false, None, None);
    if !cancelled {
        let (out_of_network, whole_program, timed, immediate) =
            (bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?);
        bits.skip(4)?;
        insert.0 = out_of_network;
        if whole_program && !immediate {
            insert.1 = read_time(bits)?;
        }
        if !whole_program {
            for _ in 0..bits.bits(8)? {
                bits.skip(8)?;
                if !immediate {
                    read_time(bits)?;
                }
            }
        }
        if timed {
            bits.skip(7)?;
            insert.2 = Some(read_33(bits)?);
        }
    }
    let (out_of_network, time, duration) = insert;
    Some(Command::Insert { event, cancelled, out_of_network, time, duration })
}

// splice_time(), 9.8.1: the outer `None` is the end of the data.
fn read_time(bits: &mut BitReader<'_>) -> Option<Option<u64>> {
    if bits.flag()? {
        bits.skip(6)?;
        return Some(Some(read_33(bits)?));
    }
    bits.skip(7)?;
    Some(None)
}

fn read_33(bits: &mut BitReader<'_>) -> Option<u64> {
    Some(u64::from(bits.bits(1)?) << 32 | u64::from(bits.bits(32)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A `splice_insert` of event 0x4800008F out of the network: SCTE 35, 14.2.
    const INSERT: [u8; 50] = [
        0xfc, 0x30, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xf0, 0x14, 0x05, 0x48, 0x00, 0x00,
        0x8f, 0x7f, 0xef, 0xfe, 0x73, 0x69, 0xc0, 0x2e, 0xfe, 0x00, 0x52, 0xcc, 0xf5, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x0a, 0x00, 0x08, 0x43, 0x55, 0x45, 0x49, 0x00, 0x00, 0x01, 0x35, 0x62, 0xdb, 0xa3, 0x0a,
    ];

    #[test]
    fn the_standard_s_own_splice_insert_is_read() {
        let splice = Splice::parse(&INSERT).expect("a splice");
        let time = Some(0x0_7369_c02e);
        let duration = Some(0x0_0052_ccf5);
        let insert =
            Command::Insert { event: 0x4800_008f, cancelled: false, out_of_network: true, time, duration };
        assert_eq!(splice, Splice { command: insert, pts_adjustment: 0, encrypted: false });
        assert_eq!(splice.time(), time);
        let mut damaged = INSERT;
        damaged[20] ^= 1;
        assert_eq!(Splice::parse(&damaged), Err(SpliceError::Crc));
    }

    #[test]
    fn an_adjusted_time_wraps() {
        let command = Command::TimeSignal { time: Some((1 << 33) - 10) };
        assert_eq!(Splice { command, pts_adjustment: 30, encrypted: false }.time(), Some(20));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut data in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(first) = data.first_mut() {
                *first = 0xfc;
            }
            let _ = Splice::parse(&data);
            let _ = Splice::read(&data);
        }
    }
}
