//! Program specific information: sections out of packets (ISO/IEC 13818-1, 2.4.4).

/// The longest section: `section_length` of 12 bits and the three bytes before it (2.4.4.11).
pub const SECTION_BYTES_MAX: usize = 4095 + 3;

/// Why a section is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Its CRC does not hold.
    #[error("a section's CRC does not hold")]
    Crc,
    /// Its fields run over its end, or it is another table's.
    #[error("a section's fields do not fit")]
    Malformed,
}

// Polynomial 0x04C11DB7, most significant bit first (annex A).
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 << 31 == 0 { crc << 1 } else { crc << 1 ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// The CRC of annex A. Over a section with its CRC it is 0.
pub fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, &byte| crc << 8 ^ CRC_TABLE[(crc >> 24) as usize ^ usize::from(byte)])
}

/// A section of the long syntax (2.4.4.11) whose CRC holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// `table_id`.
    pub table: u8,
    /// `table_id_extension`: of a PAT the stream's id, of a PMT the program's number.
    pub extension: u16,
    /// `version_number`.
    pub version: u8,
    /// `current_next_indicator`: it applies now.
    pub current: bool,
    /// `section_number`.
    pub number: u8,
    /// `last_section_number`.
    pub last: u8,
    /// What is between the head and the CRC.
    pub body: &'a [u8],
}

impl<'a> Section<'a> {
    /// Reads a section.
    ///
    /// # Errors
    /// [`SectionError`] when its CRC does not hold or it is too short.
    pub fn parse(data: &'a [u8]) -> Result<Self, SectionError> {
        let (&[table, flags, _, e, f, version, number, last], rest) =
            data.split_first_chunk().ok_or(SectionError::Malformed)?;
        if flags & 0x80 == 0 {
            return Err(SectionError::Malformed);
        }
        if crc32(data) != 0 {
            return Err(SectionError::Crc);
        }
        let body = rest.split_last_chunk::<4>().ok_or(SectionError::Malformed)?.0;
        Ok(Self {
            table,
            extension: u16::from_be_bytes([e, f]),
            version: version >> 1 & 0x1f,
            current: version & 1 != 0,
            number,
            last,
            body,
        })
    }
}

/// Puts the sections of one PID together.
#[derive(Debug, Default)]
pub struct Assembler {
    data: Vec<u8>,
    /// A section was begun, and nothing is missing of it.
    open: bool,
}

impl Assembler {
    /// Takes a packet's payload and hands out the sections it completes.
    pub fn push(&mut self, payload: &[u8], unit_start: bool, sink: &mut dyn FnMut(&[u8])) {
        if !unit_start {
            if self.open {
                self.append(payload, sink);
            }
            return;
        }
        // 2.4.4.1: the pointer field tells how many bytes belong to the section before.
        let Some((&pointer, rest)) = payload.split_first() else { return };
        let Some((before, after)) = rest.split_at_checked(usize::from(pointer)) else {
            self.reset();
            return;
        };
        if self.open {
            self.append(before, sink);
        }
        self.data.clear();
        self.open = true;
        self.append(after, sink);
    }

    /// Bytes are missing: a section begun is dropped.
    pub fn reset(&mut self) {
        self.data.clear();
        self.open = false;
    }

    fn append(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) {
        self.data.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let rest = &self.data[at..];
            // 2.4.4: stuffing of 0xFF follows the last section of a packet.
            if rest.first() == Some(&0xff) {
                self.reset();
                return;
            }
            let Some(&[_, high, low]) = rest.first_chunk() else { break };
            let len = 3 + (usize::from(high & 0x0f) << 8 | usize::from(low));
            let Some(section) = rest.get(..len) else { break };
            sink(section);
            at += len;
        }
        self.data.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A section of this many bytes, told by its first and second content byte.
    fn section(len: usize) -> Vec<u8> {
        let mut data = vec![0x42; len];
        data[1] = 0x80 | ((len - 3) >> 8) as u8;
        data[2] = (len - 3) as u8;
        data
    }

    /// Sections one after the other as payloads of `size` bytes with their pointer fields.
    fn payloads(sections: &[Vec<u8>], size: usize) -> Vec<(Vec<u8>, bool)> {
        let stream = sections.concat();
        let mut starts: Vec<usize> = sections
            .iter()
            .scan(0, |at, section| {
                let start = *at;
                *at += section.len();
                Some(start)
            })
            .collect();
        starts.reverse();
        let (mut out, mut at) = (Vec::new(), 0);
        while at < stream.len() {
            let room = size - 1;
            let start = starts.iter().rev().copied().find(|&start| start >= at && start < at + room);
            let take = (stream.len() - at).min(if start.is_some() { room } else { size });
            let mut payload = Vec::new();
            if let Some(start) = start {
                payload.push((start - at) as u8);
            }
            payload.extend_from_slice(&stream[at..at + take]);
            at += take;
            if at == stream.len() {
                payload.resize(size, 0xff);
            }
            out.push((payload, start.is_some()));
        }
        out
    }

    #[test]
    fn the_crc_of_a_section_with_its_crc_is_zero() {
        // The PAT that ffmpeg writes for one program on PID 0x1000.
        let pat = [0, 0xb0, 0x0d, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0x2a, 0xb1, 0x04, 0xb2];
        assert_eq!(crc32(&pat), 0);
        let section = Section::parse(&pat).expect("a section");
        assert_eq!((section.extension, section.version, section.current), (1, 0, true));
        assert_eq!(section.body, [0, 1, 0xf0, 0]);
        let mut damaged = pat;
        damaged[9] ^= 4;
        assert_eq!(Section::parse(&damaged), Err(SectionError::Crc));
    }

    proptest! {
        #[test]
        fn sections_come_back_over_packet_boundaries(
            sizes in prop::collection::vec(8usize..1024, 1..6),
            size in 20usize..184,
        ) {
            let sections: Vec<_> = sizes.into_iter().map(section).collect();
            let (mut assembler, mut out) = (Assembler::default(), Vec::new());
            for (payload, start) in payloads(&sections, size) {
                assembler.push(&payload, start, &mut |section| out.push(section.to_vec()));
            }
            prop_assert_eq!(out, sections);
        }

        #[test]
        fn any_payloads_are_bounded(payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..184), any::<bool>()), 0..60)) {
            let mut assembler = Assembler::default();
            for (payload, start) in payloads {
                assembler.push(&payload, start, &mut |section| {
                    let _ = Section::parse(section);
                });
                prop_assert!(assembler.data.len() <= SECTION_BYTES_MAX + 184);
            }
        }
    }
}
