//! Bit by bit: a reader that cannot run over its end, and a writer for the small records of ISO BMFF.

/// Reads big-endian bit fields. Every method gives `None` past the end.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// In bits.
    position: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bits not yet read.
    pub fn remaining(&self) -> usize {
        self.data.len() * 8 - self.position
    }

    /// The next `count` bits, 32 at most.
    pub fn bits(&mut self, count: usize) -> Option<u32> {
        if count > 32 || count > self.remaining() {
            return None;
        }
        let mut value = 0u64;
        let mut left = count;
        while left > 0 {
            let byte = u64::from(self.data[self.position / 8]);
            let offset = self.position % 8;
            let take = left.min(8 - offset);
            value = value << take | (byte >> (8 - offset - take)) & ((1 << take) - 1);
            self.position += take;
            left -= take;
        }
        u32::try_from(value).ok()
    }

    /// The next `count` bits, 8 at most.
    pub fn byte(&mut self, count: usize) -> Option<u8> {
        self.bits(count.min(8)).and_then(|value| u8::try_from(value).ok())
    }

    /// The next bit.
    pub fn flag(&mut self) -> Option<bool> {
        self.bits(1).map(|bit| bit == 1)
    }

    /// Passes over `count` bits.
    pub fn skip(&mut self, count: usize) -> Option<()> {
        if count > self.remaining() {
            return None;
        }
        self.position += count;
        Some(())
    }

    /// An unsigned Exp-Golomb code (ITU-T H.264, 9.1).
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A signed Exp-Golomb code (ITU-T H.264, 9.1.1).
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }
}

/// Writes big-endian bit fields.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    data: Vec<u8>,
    /// Bits used of the last byte; 0 when it is full.
    used: usize,
}

impl BitWriter {
    /// A writer that has written nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the low `count` bits of `value`, 32 at most.
    pub fn bits(&mut self, count: usize, value: u32) -> &mut Self {
        for shift in (0..count.min(32)).rev() {
            let bit = (value >> shift & 1) as u8;
            match self.data.last_mut() {
                Some(last) if self.used > 0 => *last |= bit << (7 - self.used),
                _ => self.data.push(bit << 7),
            }
            self.used = (self.used + 1) % 8;
        }
        self
    }

    /// Appends `count` bits of `reader`; `None` when it has fewer.
    pub fn copy(&mut self, reader: &mut BitReader<'_>, count: usize) -> Option<()> {
        if count > reader.remaining() {
            return None;
        }
        let mut left = count;
        while left > 0 {
            let take = left.min(32);
            let value = reader.bits(take)?;
            self.bits(take, value);
            left -= take;
        }
        Some(())
    }

    /// What was written, the last byte filled with zeros.
    pub fn finish(self) -> Vec<u8> {
        self.data
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exp_golomb_codes_read_as_the_standard_lists_them() {
        // 1 | 010 | 011 | 00100 | 00101: 0, 1, 2, 3, 4; as signed: 0, 1, -1, 2, -2.
        let data = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&data);
        assert_eq!([(); 5].map(|()| reader.ue()), [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        let mut reader = BitReader::new(&data);
        assert_eq!([(); 5].map(|()| reader.se()), [Some(0), Some(1), Some(-1), Some(2), Some(-2)]);
        assert_eq!(BitReader::new(&[0; 8]).ue(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(fields in prop::collection::vec((1usize..=32, any::<u32>()), 0..50)) {
            let mut writer = BitWriter::new();
            for &(count, value) in &fields {
                writer.bits(count, value);
            }
            let data = writer.finish();
            let mut reader = BitReader::new(&data);
            for &(count, value) in &fields {
                prop_assert_eq!(reader.bits(count), Some(value & (u64::MAX >> (64 - count)) as u32));
            }
            prop_assert!(reader.remaining() < 8);
        }
    }
}
