use std::collections::BTreeMap;

use bytes::Bytes;
use flambeau_media::channel::{Growth, Kind, Object, Playlist};
use flambeau_media::codec::{Codec, Picture, Sound};
use flambeau_media::program::ElementaryStream;
use flambeau_media::track::Language;

use super::*;

mod absence;
mod low_latency;

const START: Utc = Utc(1_795_351_881_000_000);
const VIDEO: TrackId = TrackId(256);
const AUDIO: TrackId = TrackId(257);
const FRAME: i64 = 3600;
/// By how much the source presents a picture after its PCR.
const DELAY: i64 = 90_000;

fn video(level: u8) -> Track {
    let picture = Picture {
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        frame_rate: Some((25, 1)),
        interlaced: false,
    };
    let avcc = Bytes::from(vec![1, 0x64, 0, level]);
    Track { id: VIDEO, codec: Codec::H264 { avcc, picture }, language: Language::UNDETERMINED }
}

fn audio(id: TrackId) -> Track {
    let sound = Sound { sample_rate: 48_000, channels: 2 };
    let config = Bytes::from_static(&[0x11, 0x90]);
    Track { id, codec: Codec::Aac { config, sound }, language: "fra".parse().expect("a language") }
}

fn program(pids: &[(TrackId, u8)]) -> Program {
    let stream = |&(id, stream_type): &(TrackId, u8)| ElementaryStream {
        pid: id.0,
        stream_type,
        label: String::new(),
        language: None,
        packaged: true,
    };
    Program { number: 1, pmt_pid: 4096, pcr_pid: 256, streams: pids.iter().map(stream).collect() }
}

/// A Channel and what a viewer would see of it.
struct Rig {
    packaging: Packaging,
    objects: BTreeMap<String, Object>,
    playlists: BTreeMap<String, Playlist>,
    /// Segments in the making, as a client takes them.
    growing: BTreeMap<String, Vec<u8>>,
    /// Those that were whole when they ended, and those that were given up.
    grown: (usize, usize),
    /// Source time of the next picture.
    pcr: i64,
    utc: i64,
    audio_next: BTreeMap<TrackId, i64>,
    frames: i64,
    gop: i64,
}

impl Rig {
    fn new(pids: &[(TrackId, u8)]) -> Self {
        Self::telling_gaps(true, pids)
    }

    fn telling_gaps(hls_gaps: bool, pids: &[(TrackId, u8)]) -> Self {
        let timing = Timing {
            part: Duration::from_millis(200),
            segment: Duration::from_secs(2),
            window: Duration::from_secs(20),
            memory_max: 1 << 30,
            low_latency_dash: true,
            hls_gaps,
        };
        let channel = "athletics".parse().expect("an id");
        let mut rig = Self {
            packaging: Packaging::new(channel, timing, Resume::default()),
            objects: BTreeMap::new(),
            playlists: BTreeMap::new(),
            growing: BTreeMap::new(),
            grown: (0, 0),
            pcr: 1_000_000,
            utc: START.0,
            audio_next: BTreeMap::new(),
            frames: 0,
            gop: 25,
        };
        rig.event(Event::Program(program(pids)));
        rig
    }

    fn event(&mut self, event: Event) {
        self.packaging.now = Utc(self.utc);
        self.packaging.started.get_or_insert(Utc(self.utc));
        self.packaging.take(event);
        self.packaging.pump();
        let change = self.packaging.shelf.take_change();
        self.apply(change);
    }

    fn apply(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        for path in change.remove {
            assert!(self.objects.remove(&path).is_some(), "{path} was never there");
        }
        for path in change.withdraw {
            self.playlists.remove(&path);
        }
        self.objects.extend(change.objects);
        for (path, growth) in change.growth {
            match growth {
                Growth::Begin(_) => assert!(self.growing.insert(path, Vec::new()).is_none()),
                Growth::Piece(piece) => self.growing.get_mut(&path).expect("it has begun").extend(&piece),
                Growth::End => self.end_growth(&path),
            }
        }
        self.playlists.extend(change.playlists);
    }

    /// What grew is what there is, to the byte.
    fn end_growth(&mut self, path: &str) {
        let grown = self.growing.remove(path).expect("it has begun");
        match self.objects.get(path) {
            Some(object) => {
                assert!(object.pieces.concat() == grown, "{path} grew to something else");
                self.grown.0 += 1;
            }
            None => {
                assert!(grown.is_empty(), "{path} was begun and given up");
                self.grown.1 += 1;
            }
        }
    }

    /// The source is silent for `ms`, looked after as the packager's task does.
    fn silent(&mut self, ms: i64) {
        for passed in (800..=ms).step_by(200) {
            let change = self.packaging.pause();
            self.apply(change);
            let change = self.packaging.silence(Duration::from_millis(passed as u64));
            self.apply(change);
        }
        self.utc += ms * 1000;
    }

    /// The source comes back with another clock.
    fn back(&mut self) {
        (self.pcr, self.frames) = (self.pcr + 77_000_000, 0);
        self.audio_next.clear();
    }

    /// One picture of 40 ms with B-frames' delay, and the sound that goes with it.
    fn frame(&mut self, tracks: &[TrackId]) {
        self.event(Event::Clock { pcr: self.pcr, discontinuity: false });
        if tracks.contains(&VIDEO) {
            let sync = self.frames % self.gop == 0;
            // I P B B: the reference picture is presented two frames later, its B-frames at once.
            let dts = self.pcr + DELAY;
            let sample =
                Sample { pts: dts + 2 * FRAME, dts, duration: None, sync, data: vec![0; 1000].into() };
            self.event(Event::Sample(VIDEO, sample));
        }
        for &id in tracks.iter().filter(|&&id| id != VIDEO) {
            let next = self.audio_next.entry(id).or_insert(self.pcr + DELAY / 2);
            *next = (*next).max(self.pcr + DELAY / 2 - FRAME);
            while self.audio_next[&id] < self.pcr + DELAY / 2 + FRAME {
                let pts = self.audio_next[&id];
                let data = vec![1; 300].into();
                let sample = Sample { pts, dts: pts, duration: Some(1024), sync: true, data };
                self.event(Event::Sample(id, sample));
                *self.audio_next.entry(id).or_default() += 1920;
            }
        }
        self.frames += 1;
        self.pcr += FRAME;
        self.utc += 40_000;
    }

    fn run(&mut self, seconds: i64, tracks: &[TrackId]) {
        for _ in 0..seconds * 25 {
            self.frame(tracks);
        }
    }

    fn text(&self, path: &str) -> &str {
        let playlist = self.playlists.get(path).unwrap_or_else(|| panic!("no {path}"));
        std::str::from_utf8(playlist.body.plain()).expect("text")
    }

    fn value(&self, path: &str, tag: &str) -> Option<u64> {
        let line = self.text(path).lines().find_map(|line| line.strip_prefix(tag))?;
        line.trim_start_matches(':').parse().ok()
    }

    fn rendition(&self, id: TrackId) -> &crate::window::Rendition {
        self.packaging.shelf.rendition(id).expect("a rendition")
    }

    /// Start and length of each Segment held, in microseconds.
    fn segments(&self, id: TrackId) -> Vec<(u64, i64, i64)> {
        let segments = self.rendition(id).segments.iter();
        segments.map(|s| (s.place.number, s.start_utc().0, s.end_utc().0 - s.start_utc().0)).collect()
    }
}

const H264: u8 = 0x1b;
const AAC: u8 = 0x0f;
const PIDS: &[(TrackId, u8)] = &[(VIDEO, H264), (AUDIO, AAC)];

fn two_tracks() -> Rig {
    two_tracks_in(Rig::new(PIDS))
}

fn two_tracks_in(mut rig: Rig) -> Rig {
    rig.event(Event::Track(video(40)));
    rig.event(Event::Track(audio(AUDIO)));
    rig
}

#[test]
fn all_tracks_cut_at_the_same_point_on_the_grid() {
    let mut rig = two_tracks();
    rig.run(20, &[VIDEO, AUDIO]);
    let (pictures, sounds) = (rig.segments(VIDEO), rig.segments(AUDIO));
    assert!(pictures.len() >= 8);
    for pair in pictures.windows(2) {
        assert_eq!(pair[0].0 + 1, pair[1].0);
        assert!((pair[0].1 + pair[0].2 - pair[1].1).abs() <= 1, "no gap between Segments");
    }
    for picture in &pictures[1..] {
        assert_eq!(picture.2, 2_000_000);
        let Some(sound) = sounds.iter().find(|sound| sound.0 == picture.0) else { continue };
        assert!((sound.1 - picture.1).abs() <= 21_334 / 2 + 1, "{} us apart", sound.1 - picture.1);
    }
    // Numbered by UTC, and nothing lies in the future.
    assert_eq!(pictures[0].0, (pictures[0].1 / 2_000_000) as u64);
    assert!(pictures.iter().all(|picture| picture.1 < rig.utc));
    assert!((rig.utc - pictures[0].1 - 20_000_000).abs() < 100_000);
}

#[test]
fn a_playlist_tells_parts_hint_and_position() {
    let mut rig = two_tracks();
    rig.run(10, &[VIDEO, AUDIO]);
    let playlist = &rig.playlists["v256/index.m3u8"];
    let newest = playlist.newest.expect("a position");
    let text = rig.text("v256/index.m3u8");
    assert!(text.contains("#EXT-X-PART-INF:PART-TARGET=0.203\n"));
    let hint = format!("{}.{}.m4s", newest.sequence, newest.parts);
    assert!(text.contains(&format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{hint}\"")));
    assert_eq!(playlist.hint.as_deref(), Some(format!("v256/{hint}").as_str()));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert_eq!(rig.objects[&format!("v256/{line}")].kind, Kind::Segment);
    }
    for uri in text.lines().filter_map(|l| l.strip_prefix("#EXT-X-PART:")?.split('"').nth(1)) {
        assert_eq!(rig.objects[&format!("v256/{uri}")].kind, Kind::Part);
    }
    let multivariant = rig.text("index.m3u8");
    assert!(multivariant.contains("LANGUAGE=\"fr\"") && multivariant.contains("avc1.640028,mp4a.40.2"));
    assert!(rig.text("manifest.mpd").contains("media=\"v256/$Number$.m4s\""));
}

#[test]
fn while_the_source_is_silent_nobody_is_to_wait_for_a_part() {
    let mut rig = two_tracks();
    rig.run(10, &[VIDEO, AUDIO]);
    let hints = ["v256", "a257"].map(|name| rig.playlists[&format!("{name}/index.m3u8")].hint.clone());
    let change = rig.packaging.pause().expect("every Playlist says so");
    let media = |playlist: &&(String, Playlist)| playlist.0.ends_with("index.m3u8");
    assert_eq!(change.playlists.iter().filter(media).count(), 2);
    for hint in hints.iter().flatten() {
        assert!(change.objects.iter().any(|(path, _)| path == hint), "{hint} was promised");
    }
    for (path, playlist) in change.playlists.iter().filter(media) {
        let text = std::str::from_utf8(playlist.body.plain()).expect("UTF-8");
        assert!(text.contains("#EXT-X-PART:") && !text.contains("PRELOAD-HINT"), "{path}");
        assert!(playlist.newest.is_some() && playlist.hint.is_none());
    }
    assert!(rig.packaging.pause().is_none(), "said once");
    rig.run(1, &[VIDEO, AUDIO]);
    assert!(
        ["v256", "a257"].iter().all(|name| rig.text(&format!("{name}/index.m3u8")).contains("PRELOAD-HINT"))
    );
}

#[test]
fn the_window_slides_and_what_it_leaves_is_dropped_a_window_later() {
    let mut rig = two_tracks();
    rig.run(30, &[VIDEO, AUDIO]);
    let first = rig.value("v256/index.m3u8", "#EXT-X-MEDIA-SEQUENCE").expect("a number");
    let listed = rig.text("v256/index.m3u8").matches("#EXTINF").count();
    assert!((9..=11).contains(&listed), "{listed} Segments in 20 s");
    assert!(rig.objects.contains_key(&format!("v256/{}.0.m4s", first - 1)));
    let held = rig.objects.len();
    rig.run(300, &[VIDEO, AUDIO]);
    let steady = rig.objects.len();
    rig.run(60, &[VIDEO, AUDIO]);
    assert!(rig.objects.len().abs_diff(steady) <= 25, "{held}, {steady}, {}", rig.objects.len());
}

#[test]
fn a_new_configuration_starts_a_period_with_its_own_init_segment() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    rig.frames = 0;
    rig.event(Event::Track(video(41)));
    rig.run(9, &[VIDEO, AUDIO]);
    let text = rig.text("v256/index.m3u8");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(text.matches("#EXT-X-MAP").count(), 2);
    assert_eq!(rig.text("a257/index.m3u8").matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(rig.text("manifest.mpd").matches("<Period").count(), 2);
    let pictures = rig.segments(VIDEO);
    assert!(pictures.windows(2).all(|pair| (pair[0].1 + pair[0].2 - pair[1].1).abs() <= 1));
    assert!(rig.text("index.m3u8").contains("avc1.640029"));
    // Whoever had loaded the hint must not read the new pictures by the old init segment.
    for id in [VIDEO, AUDIO] {
        let jumps: Vec<_> =
            rig.segments(id).windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|&n| n > 1).collect();
        assert_eq!(jumps, [1 + crate::segment::TAILS]);
    }
}

#[test]
fn a_clock_that_jumps_is_declared_and_the_timeline_goes_on_in_utc() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    // The venue is away for 4 s and comes back with another clock.
    rig.utc += 4_000_000;
    (rig.pcr, rig.frames) = (77_000_000, 0);
    rig.audio_next.clear();
    rig.event(Event::Clock { pcr: rig.pcr, discontinuity: true });
    rig.run(9, &[VIDEO, AUDIO]);
    let pictures = rig.segments(VIDEO);
    let jump = pictures.windows(2).find(|pair| pair[1].1 - pair[0].1 - pair[0].2 > 1_000_000);
    let [before, after] = jump.expect("a gap") else { panic!("a pair") };
    assert!(before.0 + 1 < after.0, "what a client had asked for is not what came");
    assert!((after.1 - before.1 - before.2 - 4_000_000).abs() < 200_000);
    for path in ["v256/index.m3u8", "a257/index.m3u8"] {
        assert_eq!(rig.text(path).matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{path}");
    }
    assert_eq!(rig.packaging.shelf.stats.discontinuities, 1);
    // Once it has left the window, the count stands for it.
    rig.run(40, &[VIDEO, AUDIO]);
    assert_eq!(rig.value("v256/index.m3u8", "#EXT-X-DISCONTINUITY-SEQUENCE"), Some(1));
}

#[test]
fn a_hole_of_three_seconds_on_a_true_clock_is_a_discontinuity() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    (rig.utc, rig.pcr, rig.frames) = (rig.utc + 3_000_000, rig.pcr + 270_000, 0);
    rig.audio_next.clear();
    rig.run(9, &[VIDEO, AUDIO]);
    assert_eq!(rig.text("v256/index.m3u8").matches("#EXT-X-DISCONTINUITY\n").count(), 1);
}

#[test]
fn a_silent_track_holds_nobody_up_and_joins_when_it_speaks() {
    let mut rig = two_tracks();
    rig.run(6, &[VIDEO]);
    assert!(rig.segments(VIDEO).len() >= 2);
    assert!(!rig.text("index.m3u8").contains("TYPE=AUDIO"));
    rig.run(8, &[VIDEO, AUDIO]);
    assert!(rig.text("index.m3u8").contains("TYPE=AUDIO"));
    assert_eq!(rig.text("v256/index.m3u8").matches("#EXT-X-DISCONTINUITY\n").count(), 0);
    let (pictures, sounds) = (rig.segments(VIDEO), rig.segments(AUDIO));
    let picture = pictures.iter().find(|picture| picture.0 == sounds[0].0).expect("same numbers");
    assert!((picture.1 - sounds[0].1).abs() < 21_400);
}

#[test]
fn a_track_that_goes_leaves_the_multivariant_playlist() {
    let mut rig = two_tracks();
    rig.run(8, &[VIDEO, AUDIO]);
    rig.event(Event::TrackGone(AUDIO));
    rig.run(6, &[VIDEO]);
    assert!(!rig.text("index.m3u8").contains("TYPE=AUDIO"));
    assert!(rig.segments(VIDEO).windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    // Its Playlist goes once the last of its Segments has.
    rig.run(60, &[VIDEO]);
    assert!(!rig.playlists.contains_key("a257/index.m3u8"));
    assert!(!rig.objects.keys().any(|path| path.starts_with("a257/")));
}

#[test]
fn pictures_that_stop_leave_the_sound_playing() {
    let mut rig = two_tracks();
    rig.run(8, &[VIDEO, AUDIO]);
    rig.run(20, &[AUDIO]);
    let sounds = rig.segments(AUDIO);
    let last = sounds.last().expect("segments");
    assert!(rig.utc - last.1 - last.2 < 4_000_000);
    rig.frames = 0;
    rig.run(10, &[VIDEO, AUDIO]);
    let last = *rig.segments(VIDEO).last().expect("segments");
    assert!(rig.utc - last.1 - last.2 < 4_000_000);
}

#[test]
fn a_service_of_sound_alone_is_cut_on_the_grid() {
    let mut rig = Rig::new(&[(AUDIO, AAC)]);
    rig.event(Event::Track(audio(AUDIO)));
    rig.run(20, &[AUDIO]);
    let sounds = rig.segments(AUDIO);
    assert!(sounds.len() >= 8);
    for sound in &sounds[1..] {
        let off = sound.1.rem_euclid(2_000_000);
        assert!(off.min(2_000_000 - off) <= 10_700, "{off} us off the grid");
    }
    assert!(rig.text("index.m3u8").contains("a257/index.m3u8"));
}

#[test]
fn a_gop_longer_than_the_segment_makes_it_longer_and_is_bounded() {
    let mut rig = two_tracks();
    rig.gop = 125;
    rig.run(40, &[VIDEO, AUDIO]);
    assert!(rig.segments(VIDEO)[1..].iter().all(|segment| segment.2 == 5_000_000));
    assert_eq!(rig.value("v256/index.m3u8", "#EXT-X-TARGETDURATION"), Some(5));
    rig.gop = 1 << 40;
    rig.run(100, &[VIDEO, AUDIO]);
    assert!(rig.segments(VIDEO).iter().all(|segment| segment.2 <= 30_100_000));
}

#[test]
fn the_end_of_the_feed_ends_the_playlists() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    let change = rig.packaging.finish(true);
    rig.apply(change);
    for path in ["v256/index.m3u8", "a257/index.m3u8"] {
        assert!(rig.text(path).ends_with("#EXT-X-ENDLIST\n"));
    }
    assert!(!rig.text("manifest.mpd").contains("minimumUpdatePeriod"));
    let last = rig.rendition(VIDEO).segments.back().map(|segment| segment.end_utc().0);
    assert!(rig.utc - last.expect("segments") <= 80_000, "the last picture is there");
}

#[test]
fn samples_of_random_times_do_no_harm() {
    use proptest::prelude::*;
    let pieces = prop::collection::vec((any::<i64>(), -300_000i64..300_000, any::<bool>(), 0u8..8), 1..400);
    proptest!(ProptestConfig::with_cases(64), |(pieces in pieces)| {
        let mut rig = two_tracks();
        rig.run(3, &[VIDEO, AUDIO]);
        for (wild, near, sync, kind) in pieces {
            let time = rig.pcr.wrapping_add(near);
            let (id, pts) = match kind {
                0..=2 => (VIDEO, time),
                3..=5 => (AUDIO, time),
                _ => (VIDEO, wild >> 8),
            };
            let dts = if near % 3 == 0 { pts } else { pts - near.abs() };
            let duration = (id == AUDIO).then_some(1024);
            let data = Bytes::from_static(b"x");
            rig.event(Event::Sample(id, Sample { pts, dts, duration, sync, data }));
            if kind == 7 {
                rig.event(Event::Clock { pcr: wild >> 8, discontinuity: sync });
            }
            rig.utc += near.abs() / 10;
            rig.pcr += near.abs() / 100;
        }
        for id in [VIDEO, AUDIO] {
            for pair in rig.segments(id).windows(2) {
                prop_assert!(pair[0].1 + pair[0].2 <= pair[1].1 + 1, "{pair:?}");
            }
        }
    });
}
