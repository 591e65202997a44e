//! Access units out of NAL units: what H.264 and H.265 have in common.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use flambeau_media::Sample;
use flambeau_media::codec::Codec;
use flambeau_media::time::CLOCK_90K;

use super::nal::Nals;
use super::{Chunk, Framed, Framer, Losses};

/// The most bytes of an unfinished access unit that are kept.
const HELD_BYTES_MAX: usize = 16 << 20;

/// A frame's length where neither the stream nor its time stamps tell: 1/25 s.
const FRAME_TICKS_DEFAULT: i64 = 3600;

/// What a codec's syntax says of its NAL units.
pub trait Syntax: Default + std::fmt::Debug + Send {
    /// What is remembered of an access unit's first slice.
    type Head: std::fmt::Debug + Send;

    /// Whether `nal`, after the units that `unit` holds, begins another access unit.
    fn begins_unit(&self, nal: &[u8], unit: &Unit<Self::Head>) -> bool;

    /// Takes a NAL unit into an access unit; whether it belongs in the Sample.
    fn take(&mut self, nal: &[u8], unit: &mut Unit<Self::Head>) -> bool;

    /// What the parameter sets that an access unit uses amount to.
    fn configuration(&mut self, head: &Self::Head) -> Configuration;

    /// Ticks of 90 kHz a frame lasts, where the parameter sets tell.
    fn frame_ticks(&self) -> Option<i64>;

    /// Whether this is one field of a frame, whose other field may follow.
    fn is_first_field(head: &Self::Head) -> bool;

    /// Whether `second` is the other field of `first`'s frame.
    fn is_second_field(first: &Self::Head, second: &Self::Head) -> bool;
}

/// What an access unit's parameter sets amount to.
#[derive(Debug)]
pub enum Configuration {
    /// They are not all known.
    Unknown,
    /// They are those of the unit before.
    Same,
    /// They are new.
    New(Codec),
}

/// An access unit in the making.
#[derive(Debug)]
pub struct Unit<H> {
    /// Where it begins in the buffer.
    start: usize,
    /// The NAL units that its Sample holds.
    nals: Vec<Range<usize>>,
    /// Its first slice, once there is one.
    pub head: Option<H>,
    /// Decoding can start here, whatever was before.
    pub closed: bool,
    /// Every slice is intra coded.
    pub intra: bool,
    /// A recovery point SEI message came with it.
    pub recovery: bool,
    /// The recovery is gradual: no picture is intra coded as a whole (`recovery_frame_cnt` above 0).
    pub gradual: bool,
    /// A sequence parameter set came with it.
    pub sequence: bool,
}

impl<H> Default for Unit<H> {
    fn default() -> Self {
        Self {
            start: 0,
            nals: Vec::new(),
            head: None,
            closed: false,
            intra: true,
            recovery: false,
            gradual: false,
            sequence: false,
        }
    }
}

impl<H> Unit<H> {
    fn new(start: usize, nals: Vec<Range<usize>>) -> Self {
        Self { start, nals, ..Self::default() }
    }

    /// Whether decoding can start at it. `hinted`: the container says so.
    fn is_random_access(&self, hinted: bool) -> bool {
        let open = self.intra && (self.recovery || self.sequence || hinted);
        self.closed || open || (self.recovery && self.gradual)
    }
}

#[derive(Debug, Clone, Copy)]
struct Stamp {
    /// In the buffer.
    offset: usize,
    pts: Option<i64>,
    dts: Option<i64>,
    random_access: bool,
}

/// A first field that waits for the second.
#[derive(Debug)]
struct Field<H> {
    head: H,
    sample: Sample,
}

/// Where the stream stands between being joined and being followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Nothing can be decoded yet.
    Waiting,
    /// Pictures shown before this time lean on ones from before the join, and are left out.
    Leading(i64),
    Joined,
}

/// Makes Samples of an H.264 or H.265 byte stream.
///
/// Nothing comes out before the first random access point. An access unit ends where its chunk ends, which
/// spares a frame's delay; a stream whose chunks turn out not to begin with a NAL unit is read with that delay.
#[derive(Debug)]
pub struct VideoFramer<S: Syntax> {
    syntax: S,
    /// What is left of earlier chunks; empty unless `unaligned`.
    held: Vec<u8>,
    stamps: Vec<Stamp>,
    unaligned: bool,
    join: Join,
    field: Option<Field<S::Head>>,
    last: Option<(i64, i64)>,
    step: i64,
    spare: Vec<Range<usize>>,
    losses: Losses,
}

impl<S: Syntax> Default for VideoFramer<S> {
    fn default() -> Self {
        Self {
            syntax: S::default(),
            held: Vec::new(),
            stamps: Vec::new(),
            unaligned: false,
            join: Join::Waiting,
            field: None,
            last: None,
            step: FRAME_TICKS_DEFAULT,
            spare: Vec::new(),
            losses: Losses::default(),
        }
    }
}

impl<S: Syntax> Framer for VideoFramer<S> {
    fn push(&mut self, chunk: Chunk<'_>, sink: &mut dyn FnMut(Framed)) {
        let stamp = |offset| Stamp {
            offset,
            pts: chunk.pts,
            dts: chunk.dts.or(chunk.pts),
            random_access: chunk.random_access,
        };
        let lead = Nals::new(chunk.data).lead();
        if !self.unaligned && chunk.data[..lead].iter().any(|&byte| byte != 0) {
            self.unaligned = true;
            self.losses.resyncs += 1;
        }
        if !self.unaligned {
            self.stamps.clear();
            self.stamps.push(stamp(0));
            self.units(chunk.data, true, sink);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        if held.len() + chunk.data.len() > HELD_BYTES_MAX {
            held.clear();
            self.stamps.clear();
            self.losses.units += 1;
        }
        // 13818-1 2.4.3.7: the time stamp is that of the first access unit that *commences* in this packet.
        self.stamps.push(stamp(held.len()));
        held.extend_from_slice(chunk.data);
        let used = self.units(&held, false, sink);
        held.drain(..used);
        self.rebase_stamps(used);
        self.held = held;
    }

    fn reset(&mut self) {
        self.held.clear();
        self.stamps.clear();
        self.field = None;
        self.last = None;
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Framed)) {
        let held = std::mem::take(&mut self.held);
        self.units(&held, true, sink);
        self.stamps.clear();
        if let Some(field) = self.field.take() {
            release(field.sample, sink);
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

impl<S: Syntax> VideoFramer<S> {
    /// Gives out the access units of `data`, the last one only if it is known to be `whole`. Gives where the
    /// bytes begin that were not used.
    fn units(&mut self, data: &[u8], whole: bool, sink: &mut dyn FnMut(Framed)) -> usize {
        let mut unit = Unit::new(0, std::mem::take(&mut self.spare));
        for range in Nals::new(data) {
            let nal = &data[range.clone()];
            if unit.head.is_some() && self.syntax.begins_unit(nal, &unit) {
                let nals = self.finish(unit, data, sink);
                unit = Unit::new(range.start - 3, nals);
            }
            if self.syntax.take(nal, &mut unit) {
                unit.nals.push(range);
            }
        }
        let start = unit.start;
        if whole {
            self.spare = self.finish(unit, data, sink);
            return data.len();
        }
        self.spare = unit.nals;
        self.spare.clear();
        start
    }

    /// Makes a Sample of an access unit; gives its list of NAL units back, emptied.
    fn finish(
        &mut self,
        unit: Unit<S::Head>,
        data: &[u8],
        sink: &mut dyn FnMut(Framed),
    ) -> Vec<Range<usize>> {
        let stamp = self.take_stamp(unit.start);
        let sync = unit.is_random_access(stamp.is_some_and(|stamp| stamp.random_access));
        let Unit { nals, head, closed, .. } = unit;
        if let Some(head) = head {
            let second = self.field.as_ref().is_some_and(|first| S::is_second_field(&first.head, &head));
            match self.field.take() {
                Some(first) if second => {
                    let joined = length_prefixed(&first.sample.data, data, &nals);
                    release(Sample { data: joined, ..first.sample }, sink);
                }
                pending => {
                    if let Some(first) = pending {
                        release(first.sample, sink);
                    }
                    let time = self.time(stamp);
                    if let Some((pts, dts)) = self.admit(&head, sync, closed, time, sink) {
                        let data = length_prefixed(&[], data, &nals);
                        let sample = Sample { pts, dts, duration: None, sync, data };
                        match S::is_first_field(&head) {
                            true => self.field = Some(Field { head, sample }),
                            false => release(sample, sink),
                        }
                    }
                }
            }
        }
        let mut nals = nals;
        nals.clear();
        nals
    }

    /// The times of an access unit that whoever joined when we did can decode; announces its configuration.
    fn admit(
        &mut self,
        head: &S::Head,
        sync: bool,
        closed: bool,
        time: Option<(i64, i64)>,
        sink: &mut dyn FnMut(Framed),
    ) -> Option<(i64, i64)> {
        if self.join == Join::Waiting && !sync {
            return None;
        }
        let Some((pts, dts)) = time else {
            self.losses.units += 1;
            return None;
        };
        match self.syntax.configuration(head) {
            Configuration::New(codec) => sink(Framed::Codec(codec)),
            Configuration::Same => {}
            Configuration::Unknown => {
                self.losses.units += 1;
                return None;
            }
        }
        match self.join {
            Join::Waiting if closed => self.join = Join::Joined,
            Join::Waiting => self.join = Join::Leading(pts),
            Join::Leading(start) if pts < start && !sync => return None,
            Join::Leading(_) => self.join = Join::Joined,
            Join::Joined => {}
        }
        Some((pts, dts))
    }

    /// The newest stamp at or before `start`; it is spent on the unit that begins there.
    fn take_stamp(&mut self, start: usize) -> Option<Stamp> {
        let count = self.stamps.iter().take_while(|stamp| stamp.offset <= start).count();
        self.stamps.drain(..count).next_back()
    }

    /// A unit's own times, or those that follow from the unit before.
    fn time(&mut self, stamp: Option<Stamp>) -> Option<(i64, i64)> {
        let time = match stamp.and_then(|stamp| Some((stamp.pts?, stamp.dts?))) {
            Some((pts, dts)) => {
                let step = self.last.map_or(0, |(_, before)| dts.saturating_sub(before));
                if (1..=i64::from(CLOCK_90K)).contains(&step) {
                    self.step = step;
                }
                (pts, dts)
            }
            None => {
                let (pts, dts) = self.last?;
                let step = self.syntax.frame_ticks().unwrap_or(self.step);
                (pts.saturating_add(step), dts.saturating_add(step))
            }
        };
        self.last = Some(time);
        Some(time)
    }

    fn rebase_stamps(&mut self, used: usize) {
        for stamp in &mut self.stamps {
            stamp.offset = stamp.offset.saturating_sub(used);
        }
    }
}

fn release(sample: Sample, sink: &mut dyn FnMut(Framed)) {
    if !sample.data.is_empty() {
        sink(Framed::Sample(sample));
    }
}

/// Parameter sets of one kind by their id, as they came and as they were read.
#[derive(Debug)]
pub(crate) struct Sets<T>(BTreeMap<u32, (Bytes, T)>);

impl<T> Default for Sets<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Sets<T> {
    /// Keeps a set; whether it says something new.
    pub(crate) fn insert(&mut self, id: u32, nal: &[u8], set: T) -> bool {
        if self.0.get(&id).is_some_and(|(known, _)| known == nal) {
            return false;
        }
        self.0.insert(id, (Bytes::copy_from_slice(nal), set));
        true
    }

    /// The set of this id.
    pub(crate) fn find(&self, id: u32) -> Option<&T> {
        self.0.get(&id).map(|(_, set)| set)
    }

    /// The set of this id as a NAL unit.
    pub(crate) fn nal(&self, id: u32) -> Option<&Bytes> {
        self.0.get(&id).map(|(nal, _)| nal)
    }

    /// Whether this very NAL unit is known.
    pub(crate) fn knows(&self, nal: &[u8]) -> bool {
        self.0.values().any(|(known, _)| known == nal)
    }

    /// Drops what `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0.retain(|_, (_, set)| keep(set));
    }

    /// The NAL units of those that `wanted` picks, by id.
    pub(crate) fn nals(&self, wanted: impl Fn(&T) -> bool) -> Vec<&Bytes> {
        self.0.values().filter(|(_, set)| wanted(set)).map(|(nal, _)| nal).collect()
    }
}

/// A frame rate in lowest terms; `None` where it has no value.
pub(crate) fn rate(numerator: u64, denominator: u64) -> Option<(u32, u32)> {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if numerator == 0 || denominator == 0 {
        return None;
    }
    Some((u32::try_from(numerator / a).ok()?, u32::try_from(denominator / a).ok()?))
}

/// Ticks of 90 kHz that a frame lasts at this rate.
pub(crate) fn ticks((numerator, denominator): (u32, u32)) -> i64 {
    i64::from(CLOCK_90K) * i64::from(denominator) / i64::from(numerator.max(1))
}

/// Appends a parameter set behind its length in two bytes, as `avcC` and `hvcC` hold it.
pub(crate) fn put_set(record: &mut Vec<u8>, nal: &[u8]) {
    // At most PARAMETER_SET_BYTES_MAX.
    record.extend_from_slice(&u16::try_from(nal.len()).unwrap_or(u16::MAX).to_be_bytes());
    record.extend_from_slice(nal);
}

/// `before`, then each NAL unit behind its length in four bytes.
fn length_prefixed(before: &[u8], data: &[u8], nals: &[Range<usize>]) -> Bytes {
    let len = before.len() + nals.iter().map(|nal| nal.len() + 4).sum::<usize>();
    let mut sample = BytesMut::with_capacity(len);
    sample.put_slice(before);
    for nal in nals {
        // A PES of video is bounded far below 4 GiB.
        sample.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        sample.put_slice(&data[nal.clone()]);
    }
    sample.freeze()
}
