//! Packet sequence numbers: 31 bits that wrap.

use std::fmt;

/// A packet sequence number (the draft, 3.1): 31 bits, after 2^31 - 1 comes 0.
///
/// Two numbers compare by the shorter way round, so there is no total order and `Ord` is not implemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNo(u32);

impl SeqNo {
    /// The highest number.
    pub const MAX: Self = Self(MASK);

    /// The number that the lower 31 bits of `value` say.
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The number a 32-bit field holds, or none where its highest bit is set.
    pub const fn from_field(field: u32) -> Option<Self> {
        if field > MASK { None } else { Some(Self(field)) }
    }

    /// The number as an integer below 2^31.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0.wrapping_add(1))
    }

    /// The number before this one.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self::new(self.0.wrapping_sub(1))
    }

    /// The number `distance` after this one (before it, where negative).
    #[must_use]
    pub const fn plus(self, distance: i32) -> Self {
        Self::new(self.0.wrapping_add_signed(distance))
    }

    /// How far this number lies after `other`, by the shorter way round: from -2^30 to 2^30 - 1.
    pub const fn minus(self, other: Self) -> i32 {
        // Shifting the 31-bit difference to the top and back extends its sign.
        (self.0.wrapping_sub(other.0) << 1).cast_signed() >> 1
    }

    /// Whether this number comes before `other`.
    pub const fn is_before(self, other: Self) -> bool {
        self.minus(other) < 0
    }

    /// Whether this number comes after `other`.
    pub const fn is_after(self, other: Self) -> bool {
        self.minus(other) > 0
    }
}

impl fmt::Display for SeqNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const MASK: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_follows_the_highest_number() {
        assert_eq!(SeqNo::MAX.next(), SeqNo::new(0));
        assert_eq!(SeqNo::new(0).prev(), SeqNo::MAX);
        assert_eq!(SeqNo::new(0).minus(SeqNo::MAX), 1);
        assert!(SeqNo::MAX.is_before(SeqNo::new(0)));
        assert!(SeqNo::new(3).is_after(SeqNo::MAX));
    }

    #[test]
    fn a_field_with_the_highest_bit_is_no_number() {
        assert_eq!(SeqNo::from_field(0x8000_0000), None);
        assert_eq!(SeqNo::from_field(0x7fff_ffff), Some(SeqNo::MAX));
    }

    proptest! {
        #[test]
        fn distance_undoes_plus(start: u32, distance in -(1i32 << 30)..(1 << 30)) {
            let start = SeqNo::new(start);
            prop_assert_eq!(start.plus(distance).minus(start), distance);
            prop_assert_eq!(start.plus(distance).is_before(start), distance < 0);
        }
    }
}
