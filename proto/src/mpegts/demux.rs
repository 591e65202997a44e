//! From transport stream packets to Samples.

use bytes::Bytes;
use flambeau_media::program::Program;
use flambeau_media::track::Language;
use flambeau_media::{Sample, Track, TrackId};

use super::packet::{Continuity, Packet, Step};
use super::program::Tracker;
use super::stream::Kind;
use super::timeline::Timeline;
use super::{NULL_PID, PACKET_BYTES, PIDS, pes, program, psi};
use crate::codec::{Chunk, Framed, Framer, Losses};
use crate::scte35::{Splice, SpliceError};

/// What a transport stream turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The programme, when it is first known and whenever it changes.
    Program(Program),
    /// A Track is new, or its codec configuration or language changed. Comes before the first Sample it applies to.
    Track(Track),
    /// One access unit of a Track that was announced.
    Sample(TrackId, Sample),
    /// The programme's clock.
    Clock {
        /// The PCR's base, 90 kHz, wraps undone, on the same reference as the Samples' times.
        pcr: i64,
        /// The clock jumped: by the stream's own flag, or because it plainly did. Samples from here on are of
        /// the new time.
        discontinuity: bool,
    },
    /// A whole SCTE-35 `splice_info_section`.
    Splice {
        /// The PID it came on.
        pid: u16,
        /// When its command takes effect, where it says so, on the same reference as the Samples' times.
        pts: Option<i64>,
        /// The section, CRC included.
        section: Bytes,
    },
    /// A Track has left the programme, or will come back as another codec.
    TrackGone(TrackId),
}

/// What went wrong in a stream so far, in events since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets read.
    pub packets: u64,
    /// Packets whose sender marked them damaged (`transport_error_indicator`).
    pub transport_errors: u64,
    /// Packets without the sync byte or with an adaptation field that does not fit.
    pub malformed_packets: u64,
    /// Gaps in the continuity counter of a PID that is read.
    pub continuity_errors: u64,
    /// Sections that failed their CRC.
    pub crc_errors: u64,
    /// Sections whose CRC holds, but whose fields do not fit.
    pub malformed_sections: u64,
    /// PES packets that outgrew their bound and were dropped.
    pub oversize_pes: u64,
    /// PES packets dropped for a head that makes no sense.
    pub malformed_pes: u64,
    /// Packets whose PES packet was dropped, or began before we joined.
    pub stray_packets: u64,
    /// Times a codec's frames had to be searched for anew.
    pub resyncs: u64,
    /// Access units that could not be read or placed in time.
    pub dropped_units: u64,
    /// Packets of the programme that were scrambled, and so of no use here.
    pub scrambled: u64,
    /// Jumps of the programme's clock.
    pub clock_jumps: u64,
}

/// PES packets in a row that may be far from the clock before the clock is taken to have jumped.
const ASTRAY_MAX: u32 = 4;

/// Takes one Feed's transport stream apart.
///
/// Packets in, [`Event`]s out; it waits for nothing and keeps no time of its own. Memory is bounded by
/// [`pes::VIDEO_BYTES_MAX`] and [`pes::AUDIO_BYTES_MAX`] for each stream of the programme.
#[derive(Debug)]
pub struct Demuxer {
    tracker: Tracker,
    timeline: Timeline,
    pcr_pid: u16,
    streams: Vec<Stream>,
    /// What each PID is to us.
    roles: Box<[Role; PIDS]>,
    continuity: Box<[Continuity; PIDS]>,
    /// Losses of framers that are gone.
    past: Losses,
    stats: Stats,
}

/// What is done with the packets of a PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Role {
    table: bool,
    clock: bool,
    /// Index of its stream + 1.
    stream: u8,
}

/// An elementary stream of the programme that is read.
#[derive(Debug)]
struct Stream {
    pid: u16,
    kind: Kind,
    language: Language,
    announced: Option<Track>,
    reading: Reading,
    astray: u32,
    /// The newest packet's payload did not fill it: a PES packet ends with it.
    padded: bool,
}

#[derive(Debug)]
enum Reading {
    Samples { pes: pes::Assembler, framer: Box<dyn Framer> },
    Splices(psi::Assembler),
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Demuxer {
    /// A demultiplexer that has seen nothing yet.
    pub fn new() -> Self {
        let mut demuxer = Self {
            tracker: Tracker::new(),
            timeline: Timeline::default(),
            pcr_pid: NULL_PID,
            streams: Vec::new(),
            roles: Box::new([Role::default(); PIDS]),
            continuity: Box::new([Continuity::default(); PIDS]),
            past: Losses::default(),
            stats: Stats::default(),
        };
        demuxer.assign_roles();
        demuxer
    }

    /// Reads whole packets (a rest shorter than a packet is ignored) and hands what they complete to `sink`.
    pub fn push(&mut self, packets: &[u8], sink: &mut impl FnMut(Event)) {
        for data in packets.chunks_exact(PACKET_BYTES) {
            self.stats.packets += 1;
            match Packet::parse(data) {
                Ok(packet) => self.packet(&packet, sink),
                Err(_) => self.stats.malformed_packets += 1,
            }
        }
    }

    /// Bytes are missing before the next packet: what is incomplete is dropped.
    pub fn discontinuity(&mut self) {
        self.continuity.iter_mut().for_each(Continuity::reset);
        self.tracker.lose_all();
        self.timeline.lose();
        self.streams.iter_mut().for_each(Stream::lose);
    }

    /// The stream has ended: what is complete but for the next unit's start comes out.
    ///
    /// A picture of unbounded length is taken to be complete by the stuffing of its last packet: one that is
    /// cut off would be seen broken until the next key frame.
    pub fn flush(&mut self, sink: &mut impl FnMut(Event)) {
        for index in 0..self.streams.len() {
            match self.streams[index].is_cut_off() {
                true => self.stats.dropped_units += 1,
                false => self.deliver(index, sink),
            }
            let Stream { pid, language, announced, reading, .. } = &mut self.streams[index];
            if let Reading::Samples { framer, .. } = reading {
                framer.flush(&mut |item| tell(TrackId(*pid), *language, announced, item, sink));
            }
        }
    }

    /// What went wrong so far.
    pub fn stats(&self) -> Stats {
        let mut losses = self.past;
        for stream in &self.streams {
            losses = add(losses, stream.losses());
        }
        Stats {
            crc_errors: self.stats.crc_errors + self.tracker.crc_errors(),
            malformed_sections: self.stats.malformed_sections + self.tracker.malformed(),
            resyncs: losses.resyncs,
            dropped_units: self.stats.dropped_units + losses.units,
            ..self.stats
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, sink: &mut impl FnMut(Event)) {
        if packet.damaged {
            // 2.4.3.3: nothing in it can be trusted, its PID included.
            self.stats.transport_errors += 1;
            return;
        }
        let role = self.roles[usize::from(packet.pid)];
        if role == Role::default() {
            return;
        }
        let index = usize::from(role.stream).checked_sub(1);
        match self.step(packet) {
            Step::Next => {}
            Step::Duplicate => return,
            Step::Gap => {
                self.stats.continuity_errors += 1;
                self.lose(packet.pid, index);
            }
        }
        // A picture of unbounded length ends where the next begins: before the clock that comes with that one.
        if let Some(index) = index.filter(|_| packet.unit_start && !packet.scrambled)
            && self.streams[index].is_ended_by(packet.payload)
        {
            self.deliver(index, sink);
        }
        if let Some(base) = packet.adaptation.pcr.filter(|_| role.clock) {
            self.clock(base, packet.adaptation.discontinuity, sink);
        }
        if !packet.has_payload() {
            return;
        }
        if packet.scrambled {
            self.stats.scrambled += 1;
            return;
        }
        if role.table {
            let change = self.tracker.push(packet.pid, packet.payload, packet.unit_start);
            if change.program {
                self.adopt(sink);
            }
            if change.program || change.pids {
                self.assign_roles();
            }
        } else if let Some(index) = index {
            self.payload(index, packet, sink);
        }
    }

    fn step(&mut self, packet: &Packet<'_>) -> Step {
        let continuity = &mut self.continuity[usize::from(packet.pid)];
        continuity.step(packet.counter, packet.has_payload(), packet.adaptation.discontinuity)
    }

    fn lose(&mut self, pid: u16, index: Option<usize>) {
        self.tracker.lose(pid);
        self.timeline.lose();
        if let Some(index) = index {
            self.streams[index].lose();
        }
    }

    fn clock(&mut self, base: u64, flagged: bool, sink: &mut impl FnMut(Event)) {
        let (pcr, discontinuity) = self.timeline.read(base, flagged);
        if discontinuity {
            // What was begun is of the old time. Whole pictures still come out before the jump, the rest goes.
            self.stats.clock_jumps += 1;
            for index in 0..self.streams.len() {
                self.deliver(index, sink);
                self.streams[index].lose();
            }
        }
        self.timeline.follow(pcr);
        sink(Event::Clock { pcr, discontinuity });
    }

    fn payload(&mut self, index: usize, packet: &Packet<'_>, sink: &mut impl FnMut(Event)) {
        self.streams[index].padded = packet.adaptation.stuffed;
        let taken = match &mut self.streams[index].reading {
            Reading::Splices(_) => {
                self.splices(index, packet, sink);
                return;
            }
            Reading::Samples { pes, .. } if packet.unit_start => {
                pes.begin(packet.payload, packet.adaptation.random_access)
            }
            Reading::Samples { pes, .. } => pes.take(packet.payload),
        };
        match taken {
            pes::Taken::More => {}
            pes::Taken::Whole => self.deliver(index, sink),
            pes::Taken::Oversize => {
                self.stats.oversize_pes += 1;
                self.streams[index].lose();
            }
            pes::Taken::Malformed => {
                self.stats.malformed_pes += 1;
                self.streams[index].lose();
            }
            pes::Taken::Stray => self.stats.stray_packets += 1,
        }
    }

    /// Hands a stream's PES packet, if it is whole, to its framer.
    fn deliver(&mut self, index: usize, sink: &mut impl FnMut(Event)) {
        let Self { streams, timeline, stats, .. } = self;
        let stream = &mut streams[index];
        let Reading::Samples { pes, .. } = &stream.reading else { return };
        let Some(unit) = pes.unit() else { return };
        let pts = unit.pts.map(|pts| timeline.stamp(pts));
        let dts = unit.dts.map(|dts| timeline.stamp(dts));
        let decoding = dts.or(pts);
        let near = decoding.is_none_or(|dts| timeline.is_near(dts));
        stream.astray = if near { 0 } else { stream.astray + 1 };
        if !near && stream.astray <= ASTRAY_MAX {
            // Ahead of a clock that is about to jump, or plainly wrong.
            stats.dropped_units += 1;
        } else {
            if let Some(dts) = decoding.filter(|_| !near) {
                stats.clock_jumps += 1;
                timeline.jump(dts);
                sink(Event::Clock { pcr: dts, discontinuity: true });
            }
            stream.astray = 0;
            stream.frame(pts, dts, sink);
        }
        if let Reading::Samples { pes, .. } = &mut streams[index].reading {
            pes.reset();
        }
    }

    fn splices(&mut self, index: usize, packet: &Packet<'_>, sink: &mut impl FnMut(Event)) {
        let Self { streams, timeline, stats, .. } = self;
        let Stream { pid, reading: Reading::Splices(assembler), .. } = &mut streams[index] else { return };
        let pid = *pid;
        assembler.push(packet.payload, packet.unit_start, &mut |section| match Splice::parse(section) {
            Ok(splice) => {
                let pts = splice.time().map(|time| timeline.stamp(time));
                sink(Event::Splice { pid, pts, section: Bytes::copy_from_slice(section) });
            }
            Err(SpliceError::Crc) => stats.crc_errors += 1,
            Err(SpliceError::Malformed) => stats.malformed_sections += 1,
        });
    }

    /// Takes the programme over from the tracker: streams that stay go on, others come and go.
    fn adopt(&mut self, sink: &mut impl FnMut(Event)) {
        // A programme that has only gone stays until there is another one.
        let Some((pmt, pid)) = self.tracker.program() else { return };
        sink(Event::Program(pmt.describe(pid)));
        self.pcr_pid = pmt.pcr_pid;
        let mut before = std::mem::take(&mut self.streams);
        for entry in pmt.streams.iter().take(usize::from(u8::MAX)) {
            let known = before.iter().position(|stream| (stream.pid, stream.kind) == (entry.pid, entry.kind));
            match known {
                Some(index) => {
                    let mut stream = before.swap_remove(index);
                    stream.speak(entry.language.unwrap_or(Language::UNDETERMINED), sink);
                    self.streams.push(stream);
                }
                None => self.streams.extend(Stream::new(entry)),
            }
        }
        for stream in before {
            self.past = add(self.past, stream.losses());
            if let Some(track) = stream.announced {
                sink(Event::TrackGone(track.id));
            }
        }
    }

    fn assign_roles(&mut self) {
        let before = std::mem::replace(&mut *self.roles, [Role::default(); PIDS]);
        let roles = &mut self.roles;
        for pid in self.tracker.pids() {
            roles[usize::from(pid)].table = true;
        }
        if self.pcr_pid != NULL_PID {
            roles[usize::from(self.pcr_pid)].clock = true;
        }
        for (index, stream) in (1..).zip(&self.streams) {
            roles[usize::from(stream.pid)].stream = index;
        }
        // The counter of a PID that was not read is not known.
        for (pid, role) in before.iter().enumerate() {
            if *role == Role::default() {
                self.continuity[pid].reset();
            }
        }
    }
}

impl Stream {
    /// A stream that is read; `None` where nothing is made of it.
    fn new(entry: &program::Stream) -> Option<Self> {
        let reading = match entry.kind.framer() {
            Some(framer) => {
                let video = entry.kind.is_video();
                let pes = if video { pes::Assembler::video() } else { pes::Assembler::audio() };
                Reading::Samples { pes, framer }
            }
            None if entry.kind == Kind::Scte35 => Reading::Splices(psi::Assembler::default()),
            None => return None,
        };
        Some(Self {
            pid: entry.pid,
            kind: entry.kind,
            language: entry.language.unwrap_or(Language::UNDETERMINED),
            announced: None,
            reading,
            astray: 0,
            padded: false,
        })
    }

    fn is_ended_by(&mut self, payload: &[u8]) -> bool {
        match &mut self.reading {
            Reading::Samples { pes, .. } => pes.is_ended_by(payload),
            Reading::Splices(_) => false,
        }
    }

    /// What is in hand is of unbounded length, and more of it was to come.
    fn is_cut_off(&self) -> bool {
        matches!(&self.reading, Reading::Samples { pes, .. } if pes.is_unbounded()) && !self.padded
    }

    fn lose(&mut self) {
        match &mut self.reading {
            Reading::Samples { pes, framer } => {
                pes.reset();
                framer.reset();
            }
            Reading::Splices(assembler) => assembler.reset(),
        }
    }

    fn losses(&self) -> Losses {
        match &self.reading {
            Reading::Samples { framer, .. } => framer.losses(),
            Reading::Splices(_) => Losses::default(),
        }
    }

    fn speak(&mut self, language: Language, sink: &mut impl FnMut(Event)) {
        self.language = language;
        if let Some(track) = self.announced.as_mut().filter(|track| track.language != language) {
            track.language = language;
            sink(Event::Track(track.clone()));
        }
    }

    /// Lets the framer read the PES packet that is whole.
    fn frame(&mut self, pts: Option<i64>, dts: Option<i64>, sink: &mut impl FnMut(Event)) {
        let Self { pid, language, announced, reading: Reading::Samples { pes, framer }, .. } = self else {
            return;
        };
        let Some(unit) = pes.unit() else { return };
        let chunk = Chunk { data: unit.data, pts, dts, random_access: unit.random_access };
        framer.push(chunk, &mut |item| tell(TrackId(*pid), *language, announced, item, sink));
    }
}

/// Makes an event of what a framer gives.
fn tell(
    id: TrackId,
    language: Language,
    announced: &mut Option<Track>,
    item: Framed,
    sink: &mut impl FnMut(Event),
) {
    match item {
        Framed::Codec(codec) => {
            let track = Track { id, codec, language };
            *announced = Some(track.clone());
            sink(Event::Track(track));
        }
        // A framer tells its configuration before its first Sample.
        Framed::Sample(sample) => sink(Event::Sample(id, sample)),
    }
}

fn add(a: Losses, b: Losses) -> Losses {
    Losses { resyncs: a.resyncs + b.resyncs, units: a.units + b.units }
}
