//! A Part as bytes: one CMAF chunk (ISO/IEC 23000-19, 7.3.2.3), `prft`, `moof` and `mdat`.

use bytes::Bytes;
use flambeau_media::Utc;

use super::TRACK_ID;
use super::boxes::Boxes;

/// A Sample as a fragment carries it.
#[derive(Debug, Clone)]
pub struct FragmentSample {
    /// How long it lasts, in ticks of the Track's timescale.
    pub duration: u32,
    /// Presentation time less decoding time, in ticks; below zero is allowed.
    pub composition_offset: i32,
    /// Decoding can start here.
    pub sync: bool,
    /// The coded bytes.
    pub data: Bytes,
}

/// One Part, about to be written.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// `mfhd` sequence number: grows by one from Part to Part of a Track.
    pub sequence: u32,
    /// It is the first of a Segment.
    pub starts_segment: bool,
    /// Decoding time of the first Sample, in ticks of the Track's timescale since 1970.
    pub decode_time: u64,
    /// The wall clock's reading that belongs to `decode_time`.
    pub wall_clock: Utc,
    /// What it tells of, beside its Samples.
    pub events: &'a [EventMessage],
    /// Its Samples in decoding order; at least one.
    pub samples: &'a [FragmentSample],
}

/// An SCTE-35 event as a fragment carries it: `emsg` (ISO/IEC 23009-1, 5.10.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMessage {
    /// Unlike that of every other event; the same where one is told of again.
    pub id: u32,
    /// Ticks a second of the two times.
    pub timescale: u32,
    /// When it takes effect, in ticks since 1970.
    pub time: u64,
    /// How long it lasts, in ticks. None: nobody knows.
    pub duration: Option<u32>,
    /// The `splice_info_section`, CRC included.
    pub section: Bytes,
}

/// The scheme of an [`EventMessage`] (ANSI/SCTE 214-3, 8.3.3).
pub const EVENT_SCHEME: &str = "urn:scte:scte35:2013:bin";

// ISO/IEC 14496-12 8.8.3.1: a sample others depend on, which depends on none; and a non-sync one.
const FLAGS_SYNC: u32 = 0x0200_0000;
const FLAGS_NON_SYNC: u32 = 0x0101_0000;

// ISO/IEC 14496-12 8.8.7.1, tf_flags.
const TF_DEFAULT_DURATION: u32 = 0x08;
const TF_DEFAULT_FLAGS: u32 = 0x20;
const TF_DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;

// ISO/IEC 14496-12 8.8.8.1, tr_flags.
const TR_DATA_OFFSET: u32 = 0x001;
const TR_FIRST_FLAGS: u32 = 0x004;
const TR_DURATION: u32 = 0x100;
const TR_SIZE: u32 = 0x200;
const TR_FLAGS: u32 = 0x400;
const TR_COMPOSITION: u32 = 0x800;

// ISO/IEC 14496-12 8.16.5: the pairing is arbitrary but the same in each box of the Track. A transport stream
// does not tell when its encoder took a picture in, so nothing more may be claimed.
const PRFT_CONSISTENT: u32 = 8;

/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_EPOCH_SECONDS: u64 = 2_208_988_800;

impl Fragment<'_> {
    /// The bytes: one allocation, each payload copied once.
    pub fn write(&self) -> Bytes {
        let payload: usize = self.samples.iter().map(|sample| sample.data.len()).sum();
        let layout = Layout::of(self.samples);
        // styp 28, prft 32, moof 8 + mfhd 16 + traf 8 + tfhd 24 + tfdt 20 + trun 24, mdat 8.
        let events: usize = self.events.iter().map(|event| 64 + event.section.len()).sum();
        let heads = 28 + 32 + events + 100 + 8;
        let mut b = Boxes::with_capacity(heads + layout.bytes_per_sample() * self.samples.len() + payload);
        if self.starts_segment {
            segment_type(&mut b);
        }
        self.producer_reference_time(&mut b);
        self.events.iter().for_each(|event| event.write(&mut b));
        let moof = b.0.len();
        let mut offset_at = 0;
        b.nest(*b"moof", |b| {
            b.full(*b"mfhd", 0, 0, |b| b.u32(self.sequence));
            b.nest(*b"traf", |b| offset_at = self.track_fragment(b, layout));
        });
        let data_offset = (b.0.len() - moof + 8) as u32;
        b.0[offset_at..offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
        b.nest(*b"mdat", |b| {
            for sample in self.samples {
                b.bytes(&sample.data);
            }
        });
        b.0.freeze()
    }

    /// ISO/IEC 14496-12, 8.16.5.
    fn producer_reference_time(&self, b: &mut Boxes) {
        b.full(*b"prft", 1, PRFT_CONSISTENT, |b| {
            b.u32(TRACK_ID);
            let micros = self.wall_clock.0.max(0) as u64;
            let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
            b.u64((micros / 1_000_000 + NTP_EPOCH_SECONDS) << 32 | fraction);
            b.u64(self.decode_time);
        });
    }

    /// Writes the boxes of `traf`; returns where `trun`'s data offset is, to be filled in.
    fn track_fragment(&self, b: &mut Boxes, layout: Layout) -> usize {
        // ISO/IEC 23000-19 7.5.16: offsets count from the `moof`.
        let mut flags = TF_DEFAULT_BASE_IS_MOOF | TF_DEFAULT_FLAGS;
        if layout.duration.is_some() {
            flags |= TF_DEFAULT_DURATION;
        }
        b.full(*b"tfhd", 0, flags, |b| {
            b.u32(TRACK_ID);
            if let Some(duration) = layout.duration {
                b.u32(duration);
            }
            b.u32(layout.default_flags);
        });
        b.full(*b"tfdt", 1, 0, |b| b.u64(self.decode_time));
        let mut offset_at = 0;
        b.full(*b"trun", 1, layout.trun_flags(), |b| {
            b.u32(self.samples.len() as u32);
            offset_at = b.0.len();
            b.u32(0);
            if layout.first_flags {
                b.u32(FLAGS_SYNC);
            }
            for sample in self.samples {
                layout.sample(b, sample);
            }
        });
        offset_at
    }
}

impl EventMessage {
    /// ISO/IEC 23009-1, 5.10.3.3.3: version 1, with its own time. ISO/IEC 23000-19, 7.4.5: before the `moof`.
    fn write(&self, b: &mut Boxes) {
        b.full(*b"emsg", 1, 0, |b| {
            b.u32(self.timescale);
            b.u64(self.time);
            b.u32(self.duration.unwrap_or(u32::MAX));
            b.u32(self.id);
            b.bytes(EVENT_SCHEME.as_bytes());
            b.zeros(2); // the end of the scheme, an empty value
            b.bytes(&self.section);
        });
    }
}

/// A Segment without a Sample: a client that asks for one that does not come goes on from it.
pub fn empty_segment() -> Bytes {
    let mut b = Boxes::with_capacity(28);
    segment_type(&mut b);
    b.0.freeze()
}

/// `styp` (ISO/IEC 14496-12, 8.16.2): the brands of a DASH media segment (ISO/IEC 23009-1, 6.3.4.2) and of a
/// CMAF segment, fragment and chunk (ISO/IEC 23000-19, 7.2). Later Parts of a Segment go without: it names
/// what starts here.
fn segment_type(b: &mut Boxes) {
    b.nest(*b"styp", |b| {
        b.bytes(b"msdh");
        b.u32(0);
        for brand in [b"msdh", b"cmfs", b"cmfl"] {
            b.bytes(brand);
        }
    });
}

/// Which fields the Samples share, and which `trun` must repeat.
#[derive(Clone, Copy)]
struct Layout {
    duration: Option<u32>,
    default_flags: u32,
    first_flags: bool,
    each_flags: bool,
    composition: bool,
}

impl Layout {
    fn of(samples: &[FragmentSample]) -> Self {
        let first = samples.first();
        let duration = first.map_or(0, |sample| sample.duration);
        let rest = samples.get(1..).unwrap_or_default();
        let first_sync = first.is_some_and(|sample| sample.sync);
        let rest_sync = rest.iter().filter(|sample| sample.sync).count();
        let all_sync = rest_sync == rest.len();
        Self {
            duration: samples.iter().all(|sample| sample.duration == duration).then_some(duration),
            default_flags: if all_sync && first_sync { FLAGS_SYNC } else { FLAGS_NON_SYNC },
            first_flags: first_sync && rest_sync == 0 && !rest.is_empty(),
            each_flags: !(first_sync && all_sync) && rest_sync > 0,
            composition: samples.iter().any(|sample| sample.composition_offset != 0),
        }
    }

    fn trun_flags(self) -> u32 {
        let optional = [
            (self.first_flags, TR_FIRST_FLAGS),
            (self.duration.is_none(), TR_DURATION),
            (self.each_flags, TR_FLAGS),
            (self.composition, TR_COMPOSITION),
        ];
        let base = TR_DATA_OFFSET | TR_SIZE;
        optional.iter().filter(|(used, _)| *used).fold(base, |flags, (_, flag)| flags | flag)
    }

    fn bytes_per_sample(self) -> usize {
        4 * (1
            + usize::from(self.duration.is_none())
            + usize::from(self.each_flags)
            + usize::from(self.composition))
    }

    fn sample(self, b: &mut Boxes, sample: &FragmentSample) {
        if self.duration.is_none() {
            b.u32(sample.duration);
        }
        b.u32(sample.data.len() as u32);
        if self.each_flags {
            b.u32(if sample.sync { FLAGS_SYNC } else { FLAGS_NON_SYNC });
        }
        if self.composition {
            b.u32(sample.composition_offset as u32);
        }
    }
}
