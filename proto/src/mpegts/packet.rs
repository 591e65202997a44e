//! One transport stream packet (ISO/IEC 13818-1, 2.4.3).

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;

/// The first byte of every packet.
pub const SYNC_BYTE: u8 = 0x47;

/// The PID of null packets.
pub const NULL_PID: u16 = 0x1fff;

/// How many PIDs there are.
pub const PIDS: usize = 0x2000;

/// Why 188 bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The bytes are not 188, or do not begin with the sync byte.
    #[error("no sync byte")]
    Sync,
    /// The adaptation field is longer than the packet.
    #[error("an adaptation field of {0} bytes does not fit")]
    Adaptation(u8),
}

/// A packet's head, and its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The PID.
    pub pid: u16,
    /// `transport_error_indicator`: its sender knows it to be damaged.
    pub damaged: bool,
    /// `payload_unit_start_indicator`: a PES packet begins, or a section does.
    pub unit_start: bool,
    /// `transport_scrambling_control` is not 0.
    pub scrambled: bool,
    /// `continuity_counter`.
    pub counter: u8,
    /// The adaptation field, where it has one of at least a byte.
    pub adaptation: Adaptation,
    /// What it carries; empty when it has an adaptation field alone.
    pub payload: &'a [u8],
}

/// What an adaptation field says (2.4.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adaptation {
    /// The continuity counter, or with a PCR the clock, starts anew here.
    pub discontinuity: bool,
    /// A decoder can start here.
    pub random_access: bool,
    /// `program_clock_reference_base`: 33 bits of 90 kHz.
    pub pcr: Option<u64>,
    /// It is longer than what it says: the payload did not fill the packet (2.4.3.5).
    pub stuffed: bool,
}

impl<'a> Packet<'a> {
    /// Reads a packet's head.
    ///
    /// # Errors
    /// [`PacketError`] when the bytes cannot be a packet.
    pub fn parse(data: &'a [u8]) -> Result<Self, PacketError> {
        let (&[sync, b, c, d], rest) = data.split_first_chunk().ok_or(PacketError::Sync)?;
        if sync != SYNC_BYTE || data.len() != PACKET_BYTES {
            return Err(PacketError::Sync);
        }
        let (has_adaptation, has_payload) = (d & 0x20 != 0, d & 0x10 != 0);
        let mut packet = Self {
            pid: u16::from(b & 0x1f) << 8 | u16::from(c),
            damaged: b & 0x80 != 0,
            unit_start: b & 0x40 != 0,
            scrambled: d & 0xc0 != 0,
            counter: d & 0x0f,
            adaptation: Adaptation::default(),
            payload: if has_payload { rest } else { &[] },
        };
        if has_adaptation {
            let len = usize::from(rest[0]);
            // 2.4.3.5: 0 to 182 before a payload, 183 without one.
            let Some((field, payload)) = rest[1..].split_at_checked(len) else {
                return Err(PacketError::Adaptation(rest[0]));
            };
            packet.adaptation = Adaptation::parse(field);
            packet.payload = if has_payload { payload } else { &[] };
        }
        Ok(packet)
    }

    /// Whether it carries a payload: only then its counter counts.
    pub fn has_payload(&self) -> bool {
        !self.payload.is_empty()
    }
}

impl Adaptation {
    fn parse(field: &[u8]) -> Self {
        let Some(&flags) = field.first() else { return Self { stuffed: true, ..Self::default() } };
        let pcr = match field.get(1..6) {
            Some(&[a, b, c, d, e]) if flags & 0x10 != 0 => {
                Some(u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7))
            }
            _ => None,
        };
        Self {
            discontinuity: flags & 0x80 != 0,
            random_access: flags & 0x40 != 0,
            pcr,
            stuffed: field.len() > Self::said(flags, field),
        }
    }

    /// Bytes of an adaptation field before its stuffing.
    fn said(flags: u8, field: &[u8]) -> usize {
        let clocks = [0x10, 0x08].iter().filter(|&&flag| flags & flag != 0).count();
        let countdown = usize::from(flags & 0x04 != 0);
        let mut bytes = 1 + 6 * clocks + countdown;
        // Private data, then the extension: each tells its length.
        for flag in [0x02, 0x01] {
            if flags & flag != 0 {
                bytes += 1 + field.get(bytes).map_or(0, |&len| usize::from(len));
            }
        }
        bytes
    }
}

/// The PID of a packet by its first bytes, unchecked: for whoever looks at every packet of a Feed.
pub fn pid(packet: &[u8]) -> u16 {
    u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2])
}

/// How a packet follows the one before it on its PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// As it should, or there was none before.
    Next,
    /// It is the one before once more (2.4.3.3 allows that once).
    Duplicate,
    /// Packets are missing between them.
    Gap,
}

/// The continuity of one PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Continuity {
    /// The last counter + 1, and in bit 7 that it came twice; 0 before the first one.
    state: u8,
}

impl Continuity {
    const REPEATED: u8 = 0x80;

    /// Takes a packet's counter.
    pub fn step(&mut self, counter: u8, has_payload: bool, discontinuity: bool) -> Step {
        let last = (self.state & !Self::REPEATED).checked_sub(1);
        let repeated = self.state & Self::REPEATED != 0;
        self.state = (counter & 0x0f) + 1;
        let Some(last) = last.filter(|_| !discontinuity) else { return Step::Next };
        if !has_payload {
            // 2.4.3.3: the counter stays where it is. Some multiplexers let it run: no loss shows by that.
            return Step::Next;
        }
        match (counter.wrapping_sub(last)) & 0x0f {
            1 => Step::Next,
            0 if !repeated => {
                self.state |= Self::REPEATED;
                Step::Duplicate
            }
            _ => Step::Gap,
        }
    }

    /// Forgets the last counter: bytes are known to be missing.
    pub fn reset(&mut self) {
        self.state = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_BYTES] {
        let mut data = [0xff; PACKET_BYTES];
        data[..head.len()].copy_from_slice(head);
        data
    }

    #[test]
    fn a_pcr_and_the_flags_are_read_from_the_adaptation_field() {
        // Discontinuity, random access, PCR of 2^33 - 2 (base), extension 0.
        let data = packet(&[0x47, 0x41, 0x00, 0x37, 7, 0xd0, 0xff, 0xff, 0xff, 0xff, 0x7e, 0]);
        let packet = Packet::parse(&data).expect("a packet");
        assert_eq!((packet.pid, packet.unit_start, packet.counter), (0x100, true, 7));
        let pcr = Some((1 << 33) - 2);
        let expected = Adaptation { discontinuity: true, random_access: true, pcr, stuffed: false };
        assert_eq!(packet.adaptation, expected);
        assert_eq!(packet.payload.len(), 184 - 8);
    }

    #[test]
    fn a_payload_that_does_not_fill_its_packet_is_told_by_the_stuffing() {
        let stuffed = |head: &[u8]| Packet::parse(&packet(head)).expect("a packet").adaptation.stuffed;
        assert!(!stuffed(&[0x47, 0x01, 0x00, 0x10]));
        assert!(stuffed(&[0x47, 0x01, 0x00, 0x30, 0]));
        assert!(!stuffed(&[0x47, 0x01, 0x00, 0x30, 1, 0x40]));
        assert!(stuffed(&[0x47, 0x01, 0x00, 0x30, 8, 0x10]));
        // A PCR, an OPCR, a splice countdown, 2 bytes of private data, an extension of 1 byte.
        let mut head = [0; 24];
        head[..6].copy_from_slice(&[0x47, 0x01, 0x00, 0x30, 19, 0x1f]);
        (head[19], head[22]) = (2, 1);
        assert!(!stuffed(&head));
        head[4] = 20;
        assert!(stuffed(&head));
    }

    #[test]
    fn an_adaptation_field_longer_than_the_packet_is_refused() {
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0x00, 0x30, 184])), Err(PacketError::Adaptation(184)));
        assert!(
            Packet::parse(&packet(&[0x47, 0x01, 0x00, 0x20, 183])).is_ok_and(|packet| !packet.has_payload())
        );
        assert_eq!(Packet::parse(&packet(&[0x46])), Err(PacketError::Sync));
    }

    #[test]
    fn a_duplicate_is_allowed_once_and_a_jump_is_a_gap() {
        let mut continuity = Continuity::default();
        let steps = [15, 0, 0, 1, 1, 1, 3, 4].map(|counter| continuity.step(counter, true, false));
        use Step::{Duplicate, Gap, Next};
        assert_eq!(steps, [Next, Next, Duplicate, Next, Duplicate, Gap, Gap, Next]);
        assert_eq!(continuity.step(9, true, true), Next);
        assert_eq!(continuity.step(9, false, false), Next);
        assert_eq!(continuity.step(10, true, false), Next);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Packet::parse(&data);
        }

        #[test]
        fn any_packet_keeps_its_payload_within_itself(mut data in prop::collection::vec(any::<u8>(), PACKET_BYTES)) {
            data[0] = SYNC_BYTE;
            if let Ok(packet) = Packet::parse(&data) {
                prop_assert!(packet.payload.len() <= 184);
            }
        }
    }
}
