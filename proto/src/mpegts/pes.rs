//! Packetised elementary stream packets out of transport stream packets (ISO/IEC 13818-1, 2.4.3.6).

use super::read_stamp;

/// The most bytes of one picture's PES packets.
pub const VIDEO_BYTES_MAX: usize = 16 << 20;

/// The most bytes of one PES packet of sound.
pub const AUDIO_BYTES_MAX: usize = 256 << 10;

/// The start of a PES packet up to `PES_header_data_length`.
const HEAD_BYTES: usize = 9;

/// The longest head: that, and `PES_header_data_length` of 255.
const HEAD_BYTES_MAX: usize = HEAD_BYTES + 255;

/// PES packets in a row that must each be a whole picture before the next is taken to be one at once.
const ALONE_ENOUGH: u8 = 32;

/// A PES packet's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head itself.
    pub bytes: usize,
    /// Bytes after the head; `None` for video of unbounded length.
    pub payload_bytes: Option<usize>,
    /// PTS as coded: 33 bits of 90 kHz.
    pub pts: Option<u64>,
    /// DTS as coded.
    pub dts: Option<u64>,
}

/// What the first bytes of a PES packet turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A whole head.
    Head(Head),
    /// More bytes are needed.
    More,
    /// No PES packet of an elementary stream.
    Malformed,
}

impl Head {
    /// Reads a PES packet's head.
    pub fn parse(data: &[u8]) -> Parsed {
        let prefix = [0, 0, 1];
        let len = data.len().min(3);
        if data[..len] != prefix[..len] {
            return Parsed::Malformed;
        }
        let Some(&[_, _, _, id, high, low, marker, flags, header_bytes]) = data.first_chunk() else {
            return Parsed::More;
        };
        // 2.4.3.7: these stream ids have no such head (program stream map, padding, private 2, ECM, EMM, ...).
        if matches!(id, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff) || id < 0xbc || marker & 0xc0 != 0x80
        {
            return Parsed::Malformed;
        }
        let bytes = HEAD_BYTES + usize::from(header_bytes);
        let Some(fields) = data.get(HEAD_BYTES..bytes) else { return Parsed::More };
        let pts = read_stamp(fields).filter(|_| flags & 0x80 != 0);
        let dts = fields.get(5..).and_then(read_stamp).filter(|_| flags & 0xc0 == 0xc0);
        let length = usize::from(high) << 8 | usize::from(low);
        let payload_bytes = match length {
            0 => None,
            length => match (length + 6).checked_sub(bytes) {
                Some(payload) => Some(payload),
                // The length of a picture over 64 KiB, cut to 16 bits.
                None if id & 0xf0 == 0xe0 => None,
                None => return Parsed::Malformed,
            },
        };
        Parsed::Head(Self { bytes, payload_bytes, pts, dts })
    }
}

/// Elementary stream bytes that belong together, and their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// PTS as coded.
    pub pts: Option<u64>,
    /// DTS as coded.
    pub dts: Option<u64>,
    /// The adaptation field said that decoding can start here.
    pub random_access: bool,
}

/// What became of a packet's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is kept; the PES packet goes on.
    More,
    /// The PES packet is whole: [`Assembler::unit`] has it.
    Whole,
    /// It outgrew its bound and was dropped.
    Oversize,
    /// Its head makes no sense; it was dropped.
    Malformed,
    /// It belongs to a PES packet that was dropped, or whose start was never seen.
    Stray,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Idle,
    /// The head is not whole yet.
    Head,
    /// Bytes to come, where their number is known.
    Body(Option<usize>),
    Whole,
}

/// Puts the PES packets of one PID together.
///
/// A picture may take several PES packets, of which only the first has a time stamp: those are joined. One that
/// tells its length is held for the next one's head, until enough of them in a row stood alone; encoders that
/// write the length of a picture over 64 KiB modulo 2^16 are found out by the bytes that follow.
#[derive(Debug)]
pub struct Assembler {
    state: State,
    head: Vec<u8>,
    data: Vec<u8>,
    stamps: (Option<u64>, Option<u64>),
    random_access: bool,
    bytes_max: usize,
    joins: bool,
    /// PES packets in a row that were whole pictures.
    alone: u8,
    /// The last PES packet was given out as soon as it had the length it told.
    hasty: bool,
    /// Lengths are not believed: one was too short.
    wary: bool,
}

impl Assembler {
    /// For pictures.
    pub fn video() -> Self {
        Self::new(VIDEO_BYTES_MAX, true)
    }

    /// For sound.
    pub fn audio() -> Self {
        Self::new(AUDIO_BYTES_MAX, false)
    }

    fn new(bytes_max: usize, joins: bool) -> Self {
        Self {
            state: State::Idle,
            head: Vec::new(),
            data: Vec::new(),
            stamps: (None, None),
            random_access: false,
            bytes_max,
            joins,
            alone: 0,
            hasty: false,
            wary: false,
        }
    }

    /// Whether the PES packet in the making is whole now that another begins with `payload`.
    ///
    /// To be asked before [`Assembler::begin`].
    pub fn is_ended_by(&mut self, payload: &[u8]) -> bool {
        let continues = self.joins && is_continuation(payload);
        self.alone = if continues { 0 } else { self.alone.saturating_add(1) };
        match self.state {
            State::Body(None) | State::Whole => !continues,
            // One that told its length and is cut short, or cut off within its head, is of no use.
            State::Head | State::Body(Some(_)) => {
                self.reset();
                false
            }
            State::Idle => false,
        }
    }

    /// Takes the payload that a PES packet begins with.
    pub fn begin(&mut self, payload: &[u8], random_access: bool) -> Taken {
        let joined = self.joins && !self.data.is_empty() && is_continuation(payload);
        if !joined {
            self.reset();
            self.random_access = random_access;
            // The picture that this goes on with was lost.
            if self.joins && is_continuation(payload) {
                return Taken::Stray;
            }
        }
        self.head.clear();
        self.hasty = false;
        self.state = State::Head;
        self.take(payload)
    }

    /// Takes the payload of a packet that a PES packet goes on in.
    pub fn take(&mut self, payload: &[u8]) -> Taken {
        match self.state {
            State::Whole if self.joins => self.append(payload, None),
            State::Idle | State::Whole => {
                self.wary |= self.joins && self.hasty;
                Taken::Stray
            }
            State::Body(left) => self.append(payload, left),
            State::Head => {
                let room = HEAD_BYTES_MAX - self.head.len().min(HEAD_BYTES_MAX);
                let before = self.head.len();
                self.head.extend_from_slice(&payload[..payload.len().min(room)]);
                match Head::parse(&self.head) {
                    Parsed::More => Taken::More,
                    Parsed::Malformed => {
                        self.reset();
                        Taken::Malformed
                    }
                    Parsed::Head(head) => {
                        if self.data.is_empty() {
                            self.stamps = (head.pts, head.dts);
                        }
                        self.append(&payload[head.bytes - before..], head.payload_bytes)
                    }
                }
            }
        }
    }

    /// Whether a PES packet is in the making that does not tell its length.
    pub fn is_unbounded(&self) -> bool {
        self.state == State::Body(None)
    }

    /// What was put together. To be followed by [`Assembler::reset`].
    pub fn unit(&self) -> Option<Unit<'_>> {
        let (pts, dts) = self.stamps;
        let whole = matches!(self.state, State::Whole | State::Body(None)) && !self.data.is_empty();
        whole.then_some(Unit { data: &self.data, pts, dts, random_access: self.random_access })
    }

    /// Drops what was put together.
    pub fn reset(&mut self) {
        self.state = State::Idle;
        self.data.clear();
        self.stamps = (None, None);
    }

    fn append(&mut self, payload: &[u8], left: Option<usize>) -> Taken {
        // Pictures are not cut at the length they tell.
        let cut = left.filter(|_| !self.joins);
        let bytes = cut.map_or(payload, |left| &payload[..payload.len().min(left)]);
        if self.data.len() + bytes.len() > self.bytes_max {
            self.reset();
            return Taken::Oversize;
        }
        self.data.extend_from_slice(bytes);
        let left = left.map(|left| left.saturating_sub(bytes.len()));
        self.state = State::Body(left);
        if left == Some(0) {
            self.state = State::Whole;
            self.hasty = !self.joins || (self.alone >= ALONE_ENOUGH && !self.wary);
            if self.hasty {
                return Taken::Whole;
            }
        }
        Taken::More
    }
}

/// A PES packet without a time stamp: it goes on with the picture before.
fn is_continuation(payload: &[u8]) -> bool {
    payload.get(7).is_some_and(|flags| flags & 0x80 == 0)
}

#[cfg(test)]
mod tests;
