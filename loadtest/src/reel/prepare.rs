//! From a transport stream to a [`Reel`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use flambeau_proto::codec::nal::Nals;
use flambeau_proto::mpegts::pes::{Head, Parsed};
use flambeau_proto::mpegts::program::Pmt;
use flambeau_proto::mpegts::psi::Section;
use flambeau_proto::mpegts::stream::Kind;

use super::cut::{field, packet, payload_start};
use super::{Error, Fill, Reel, WRAP};
use crate::clock::{Codec, MARK_PID};
use crate::ts::{self, NULL_PID, PACKET_BYTES, SYNC_BYTE, announce, pcr, pid, pmt_pid_of, whole_section};

pub(super) fn prepare(mut ts: Vec<u8>) -> Result<Reel, Error> {
    let pmt = announce_marks(&mut ts)?;
    let clock = clock(&ts, pmt.pcr_pid)?;
    let units = Units::of(&ts, &pmt);
    let video = pmt.streams.iter().find(|stream| stream.kind.is_video()).map(|stream| stream.pid);
    let length = units.length(video)?;
    let (pictures, span) = (ticks(length), *clock.last().unwrap_or(&0));
    let even = length * 300;
    if span.abs_diff(even) > even / 10 {
        return Err(Error::Uneven { pictures, clock: Duration::from_nanos(span * 1000 / 27) });
    }
    units.silence_overlap(&mut ts, length, video);
    let mut builder = Builder { pmt: &pmt, reel: Vec::new(), times: Vec::new(), fills: Vec::new(), owed: 0 };
    let stamps = Stamps::of(&ts, &pmt, &units);
    let mut mark_due = 0;
    for (index, packet) in ts.chunks_exact(PACKET_BYTES).enumerate() {
        // Sent so that a loop takes as long as its pictures: the clock is stretched by what they differ.
        let at = (u128::from(clock[index]) * u128::from(even) / u128::from(span.max(1))) as u64;
        if at >= mark_due {
            builder.mark(at);
            mark_due = at + MARK_EVERY;
        }
        builder.push(at, packet, stamps.at.get(&index).copied(), stamps.codec);
    }
    let first = (0..ts.len() / PACKET_BYTES).find_map(|index| {
        let packet = &ts[index * PACKET_BYTES..][..PACKET_BYTES];
        let pcr = pcr(packet).filter(|_| pid(packet) == pmt.pcr_pid)?;
        Some((pcr, u128::from(clock[index]) * u128::from(even) / u128::from(span.max(1))))
    });
    let (pcr, at) = first.ok_or(Error::NoClock)?;
    let clock_start = (pcr + WRAP * 300 - at as u64 % (WRAP * 300)) % (WRAP * 300);
    Ok(Reel {
        packets: builder.reel,
        times: builder.times,
        fills: builder.fills,
        clock_start,
        length,
        pictures: stamps.at.len(),
    })
}

/// Reads the PMT, and lists the marks' PID in each of its packets.
fn announce_marks(ts: &mut [u8]) -> Result<Pmt, Error> {
    if ts.len() / PACKET_BYTES > u32::MAX as usize / PACKET_BYTES {
        return Err(Error::TooLarge);
    }
    let broken =
        ts.chunks(PACKET_BYTES).position(|packet| packet.len() < PACKET_BYTES || packet[0] != SYNC_BYTE);
    if let Some(index) = broken {
        return Err(ts::Error::NotTs(index * PACKET_BYTES).into());
    }
    let pmt_pid = ts.chunks_exact(PACKET_BYTES).find_map(pmt_pid_of).ok_or(ts::Error::NoProgram)?;
    let mut pmt = None;
    for packet in ts.chunks_exact_mut(PACKET_BYTES).filter(|packet| pid(packet) == pmt_pid) {
        let range = whole_section(packet).ok_or(ts::Error::NoProgram)?;
        if pmt.is_none() {
            pmt = Section::parse(&packet[range]).ok().and_then(|section| Pmt::parse(&section).ok());
        }
        announce(packet, &[], &MARK_STREAM)?;
    }
    Ok(pmt.ok_or(ts::Error::NoProgram)?)
}

/// When each packet is sent, and when the one after the last, in ticks of 27 MHz from the first: by the PCRs around it.
fn clock(ts: &[u8], pcr_pid: u16) -> Result<Vec<u64>, Error> {
    let mut points: Vec<(u64, u64)> = Vec::new();
    for (index, packet) in ts.chunks_exact(PACKET_BYTES).enumerate() {
        let Some(pcr) = pcr(packet).filter(|_| pid(packet) == pcr_pid) else { continue };
        let step =
            points.last().map_or(0, |(_, last)| (pcr + WRAP * 300 - last % (WRAP * 300)) % (WRAP * 300));
        // A jump of the clock is not a stretch of time.
        let step = if step > JUMP { 0 } else { step };
        points.push((index as u64, points.last().map_or(pcr, |(_, last)| last + step)));
    }
    let (&[first, second, ..], &[.., before, last]) = (&points[..], &points[..]) else {
        return Err(Error::NoClock);
    };
    let count = (ts.len() / PACKET_BYTES) as u64;
    let line = |a: (u64, u64), b: (u64, u64), index: u64| {
        let slope = (b.1 - a.1) as f64 / (b.0 - a.0) as f64;
        a.1 as f64 + (index as f64 - a.0 as f64) * slope
    };
    let mut ahead = points.windows(2).peekable();
    let times: Vec<f64> = (0..=count)
        .map(|index| {
            if index < first.0 {
                return line(first, second, index);
            }
            while ahead.peek().is_some_and(|pair| pair[1].0 <= index) {
                ahead.next();
            }
            match ahead.peek() {
                Some(pair) => line(pair[0], pair[1], index),
                None => line(before, last, index),
            }
        })
        .collect();
    Ok(times.iter().map(|at| (at - times[0]).max(0.0) as u64).collect())
}

/// The PES packets of a stream.
struct Units(BTreeMap<u16, Vec<Unit>>);

/// A PES packet: the TS packet it starts in, and its decoding time, unwrapped, in ticks of 90 kHz.
#[derive(Clone, Copy)]
struct Unit {
    packet: usize,
    time: u64,
}

impl Units {
    fn of(ts: &[u8], pmt: &Pmt) -> Self {
        let mut units: BTreeMap<u16, Vec<Unit>> = BTreeMap::new();
        for (index, packet) in ts.chunks_exact(PACKET_BYTES).enumerate() {
            let pid = pid(packet);
            let Some(head) = pmt.streams.iter().find(|stream| stream.pid == pid).and_then(|_| head(packet))
            else {
                continue;
            };
            let Some(time) = head.dts.or(head.pts) else { continue };
            let list = units.entry(pid).or_default();
            // The nearest to the one before, whatever wrapped or jumped in between.
            let time =
                list.last().map_or(time, |last| last.time.wrapping_add_signed(signed(time, last.time)));
            list.push(Unit { packet: index, time });
        }
        Self(units)
    }

    /// How long the pictures last, in ticks of 90 kHz; without any, the sound.
    fn length(&self, video: Option<u16>) -> Result<u64, Error> {
        let units = video.map_or_else(|| self.0.values().next(), |pid| self.0.get(&pid));
        let units = units.map_or(&[][..], Vec::as_slice);
        let [first, .., last] = units else { return Err(Error::NoPictures(units.len())) };
        let span = last.time.saturating_sub(first.time);
        match span * units.len() as u64 / (units.len() as u64 - 1) {
            0 => Err(Error::NoPictures(units.len())),
            length => Ok(length),
        }
    }

    /// Takes out the sound that would overlap with the next loop's.
    fn silence_overlap(&self, ts: &mut [u8], length: u64, video: Option<u16>) {
        for (&pid_of, units) in self.0.iter().filter(|(pid, _)| Some(**pid) != video) {
            let [first, second, ..] = units[..] else { continue };
            let half = second.time.saturating_sub(first.time) / 2;
            let Some(from) = units.iter().find(|unit| unit.time.saturating_sub(first.time) + half > length)
            else {
                continue;
            };
            for packet in ts.chunks_exact_mut(PACKET_BYTES).skip(from.packet) {
                if pid(packet) == pid_of && pcr(packet).is_none() {
                    packet.fill(0xFF);
                    packet[..4].copy_from_slice(&[SYNC_BYTE, 0x1F, 0xFF, 0x10]);
                }
            }
        }
    }
}

/// The head of the PES packet that starts in this packet.
fn head(packet: &[u8]) -> Option<Head> {
    let starts = packet[1] & 0x40 != 0;
    match Head::parse(packet.get(payload_start(packet)..).filter(|_| starts)?) {
        Parsed::Head(head) => Some(head),
        Parsed::More | Parsed::Malformed => None,
    }
}

/// Where stamps go: the packet, and the byte of it before which the first slice of a picture begins.
struct Stamps {
    codec: Codec,
    at: HashMap<usize, usize>,
}

impl Stamps {
    fn of(ts: &[u8], pmt: &Pmt, units: &Units) -> Self {
        let video = pmt.streams.iter().find_map(|stream| match stream.kind {
            Kind::H264 => Some((stream.pid, Codec::H264)),
            Kind::H265 => Some((stream.pid, Codec::H265)),
            _ => None,
        });
        let Some((pid, codec)) = video else { return Self { codec: Codec::H264, at: HashMap::new() } };
        let units = units.0.get(&pid).map_or(&[][..], Vec::as_slice);
        let at = units.iter().filter_map(|unit| slice_of(ts, unit.packet, pid, codec)).collect();
        Self { codec, at }
    }
}

/// Where the first slice's start code begins of the picture that starts in packet `first`.
fn slice_of(ts: &[u8], first: usize, pid_of: u16, codec: Codec) -> Option<(usize, usize)> {
    let (mut picture, mut places) = (Vec::new(), Vec::new());
    for (index, packet) in ts.chunks_exact(PACKET_BYTES).enumerate().skip(first) {
        if pid(packet) != pid_of {
            continue;
        }
        if index > first && packet[1] & 0x40 != 0 || picture.len() > HEADERS_BYTES_MAX {
            break;
        }
        let head = if index == first { head(packet)?.bytes } else { 0 };
        let start = payload_start(packet) + head;
        places.extend((start..PACKET_BYTES).map(|byte| (index, byte)));
        picture.extend_from_slice(&packet[start.min(PACKET_BYTES)..]);
    }
    let slice = Nals::new(&picture).find(|nal| codec.is_slice(picture[nal.start]))?.start;
    let code = if slice >= 4 && picture[slice - 4] == 0 { slice - 4 } else { slice - 3 };
    places.get(code).copied()
}

struct Builder<'a> {
    pmt: &'a Pmt,
    reel: Vec<u8>,
    times: Vec<u64>,
    fills: Vec<(u32, Fill)>,
    /// Packets put in for which no null packet was taken out yet.
    owed: u32,
}

impl Builder<'_> {
    fn mark(&mut self, at: u64) {
        self.fill(Fill::Mark);
        self.add(at, &packet(MARK_PID, true, &[], &[0; 1]));
    }

    /// Adds a packet of the source, with a stamp before this byte of it.
    fn push(&mut self, at: u64, source: &[u8], stamp: Option<usize>, codec: Codec) {
        let source_pid = pid(source);
        if source_pid == NULL_PID && self.owed > 0 {
            self.owed -= 1;
            return;
        }
        let Some(place) = stamp else {
            self.find_fills(source);
            return self.add_source(at, source);
        };
        let (start, unit_start) = (payload_start(source), source[1] & 0x40 != 0);
        let (sei, text) = codec.sei();
        if place > start {
            let mut before = packet(source_pid, unit_start, field(source), &source[start..place]);
            lengthen(&mut before, sei.len());
            self.find_fills(&before);
            self.add_source(at, &before);
        }
        let sei_packet = packet(source_pid, unit_start && place == start, &[], &sei);
        self.fill(Fill::Stamp((PACKET_BYTES - sei.len() + text) as u8));
        self.add(at, &sei_packet);
        if place > start {
            self.add(at, &packet(source_pid, false, &[], &source[place..]));
        } else {
            self.find_fills(source);
            self.add_source(at, source);
        }
    }

    fn find_fills(&mut self, source: &[u8]) {
        if pcr(source).is_some() && pid(source) == self.pmt.pcr_pid {
            self.fill(Fill::Pcr);
        }
        let Some(stream) = self.pmt.streams.iter().find(|stream| stream.pid == pid(source)) else { return };
        if stream.kind == Kind::Scte35 {
            if let Some(range) = whole_section(source) {
                self.fill(Fill::Splice(range.start as u8, range.len() as u8));
            }
        } else if let Some(head) = head(source).filter(|head| head.pts.is_some()) {
            self.fill(Fill::Times((payload_start(source) + 9) as u8, head.dts.is_some()));
        }
    }

    fn fill(&mut self, fill: Fill) {
        self.fills.push((self.times.len() as u32, fill));
    }

    /// Adds a packet beyond the source's.
    fn add(&mut self, at: u64, packet: &[u8]) {
        self.owed = (self.owed + 1).min(OWED_MAX);
        self.add_source(at, packet);
    }

    fn add_source(&mut self, at: u64, packet: &[u8]) {
        self.times.push(at);
        self.reel.extend_from_slice(packet);
    }
}

/// Adds to the length a PES packet tells, where it tells one (ISO/IEC 13818-1, 2.4.3.7).
fn lengthen(packet: &mut [u8], by: usize) {
    let start = payload_start(packet);
    if packet[1] & 0x40 == 0 || start + 6 > PACKET_BYTES {
        return;
    }
    let told = u16::from_be_bytes([packet[start + 4], packet[start + 5]]);
    if told > 0 {
        // Unbounded where it would not fit, as pictures may be.
        let length = u16::try_from(usize::from(told) + by).unwrap_or(0);
        packet[start + 4..start + 6].copy_from_slice(&length.to_be_bytes());
    }
}

/// The way from `b` to `a` on a clock of 33 bits, whichever direction is shorter.
fn signed(a: u64, b: u64) -> i64 {
    let ahead = (a + WRAP - b % WRAP) % WRAP;
    if ahead < WRAP / 2 { ahead as i64 } else { ahead as i64 - WRAP as i64 }
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * 100_000 / 9)
}

/// A mark every 40 ms, in ticks of 27 MHz.
const MARK_EVERY: u64 = 27_000_000 / 25;
/// A PCR this far from the last one is a jump: 10 s.
const JUMP: u64 = 27_000_000 * 10;
/// Parameter sets and messages before a picture's first slice.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// What is owed beyond this is written off: the stream has no null packets.
const OWED_MAX: u32 = 1000;
/// The PMT's entry for marks: private sections, with a registration "FLMB".
const MARK_STREAM: [u8; 11] =
    [0x05, 0xE0 | (MARK_PID >> 8) as u8, MARK_PID as u8, 0xF0, 6, 0x05, 4, b'F', b'L', b'M', b'B'];
