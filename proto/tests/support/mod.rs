//! Streams that ffmpeg makes, and what ffprobe says of them.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod mux;

use std::path::{Path, PathBuf};
use std::process::Command;

use flambeau_media::program::Program;
use flambeau_media::{Sample, Track, TrackId};
use flambeau_proto::mpegts::demux::{Demuxer, Event, Stats};

/// Runs ffmpeg; its standard output.
pub(crate) fn ffmpeg(args: &[&str]) -> Vec<u8> {
    run("ffmpeg", &[&["-v", "error", "-nostdin", "-y"], args].concat())
}

fn run(tool: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|error| panic!("{tool}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {args:?}: {errors}");
    output.stdout
}

/// A file that is this test's own.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A transport stream that ffmpeg makes of test picture and sound.
pub(crate) struct Made {
    pub(crate) path: PathBuf,
    pub(crate) data: Vec<u8>,
}

impl Made {
    /// `args` come after inputs 0 (`picture`, a lavfi source) and 1 and 2 (tones of 48 kHz, stereo).
    pub(crate) fn new(name: &str, picture: &str, args: &[&str]) -> Self {
        let path = path(name);
        let tone = |hertz| format!("sine=frequency={hertz}:sample_rate=48000,aformat=channel_layouts=stereo");
        let (low, high) = (tone(440), tone(1000));
        let inputs = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", &low, "-f", "lavfi", "-i", &high];
        ffmpeg(&[&inputs[..], args, &["-f", "mpegts", text(&path)]].concat());
        let data = std::fs::read(&path).expect("ffmpeg wrote the file");
        Self { path, data }
    }

    /// The packets that ffprobe finds, by PID.
    pub(crate) fn probe(&self, pid: u16) -> Vec<Probed> {
        let entries = ["-show_entries", "stream=index,id", "-of", "csv=p=0"];
        let streams = run("ffprobe", &[&["-v", "error"], &entries[..], &[text(&self.path)]].concat());
        let streams = String::from_utf8(streams).expect("text");
        let index = streams
            .lines()
            .find_map(|line| {
                let (index, id) = line.trim_end_matches(',').split_once(',')?;
                let id = u16::from_str_radix(id.trim_start_matches("0x"), 16).ok()?;
                (id == pid).then(|| index.to_owned())
            })
            .unwrap_or_else(|| panic!("PID {pid} in {streams}"));
        let entries =
            ["-select_streams", &index, "-show_entries", "packet=pts,dts,size,flags", "-of", "csv=p=0"];
        let packets = run("ffprobe", &[&["-v", "error"], &entries[..], &[text(&self.path)]].concat());
        let packets = String::from_utf8(packets).expect("text");
        packets.lines().filter(|line| !line.is_empty()).map(Probed::parse).collect()
    }

    /// An elementary stream as ffmpeg takes it out, unchanged.
    pub(crate) fn elementary(&self, pid: u16, format: &str) -> Vec<u8> {
        let stream = format!("0:#{pid}");
        ffmpeg(&["-i", text(&self.path), "-map", &stream, "-c", "copy", "-f", format, "-"])
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A packet as ffprobe lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probed {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) size: usize,
    pub(crate) key: bool,
}

impl Probed {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields[index].parse().unwrap_or_else(|_| panic!("a number in {line}"));
        let size = usize::try_from(number(2)).expect("a size");
        Self { pts: number(0), dts: number(1), size, key: fields[3].starts_with('K') }
    }
}

/// All that a stream turned out to hold.
#[derive(Default)]
pub(crate) struct Demuxed {
    pub(crate) programs: Vec<Program>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) gone: Vec<TrackId>,
    pub(crate) samples: Vec<(TrackId, Sample)>,
    pub(crate) clocks: Vec<(i64, bool)>,
    pub(crate) splices: Vec<(u16, Option<i64>)>,
    pub(crate) stats: Stats,
}

impl Demuxed {
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Program(program) => self.programs.push(program),
            Event::Track(track) => self.tracks.push(track),
            Event::Sample(id, sample) => {
                assert!(self.tracks.iter().any(|track| track.id == id), "a Sample before its Track");
                self.samples.push((id, sample));
            }
            Event::Clock { pcr, discontinuity } => self.clocks.push((pcr, discontinuity)),
            Event::Splice { pid, pts, .. } => self.splices.push((pid, pts)),
            Event::TrackGone(id) => self.gone.push(id),
        }
    }

    pub(crate) fn of(&self, pid: u16) -> Vec<&Sample> {
        self.samples.iter().filter(|(id, _)| id.0 == pid).map(|(_, sample)| sample).collect()
    }

    pub(crate) fn track(&self, pid: u16) -> &Track {
        self.tracks.iter().rfind(|track| track.id.0 == pid).unwrap_or_else(|| panic!("a Track of PID {pid}"))
    }
}

/// Takes a stream apart in pieces of seven packets, as they come from SRT.
pub(crate) fn demux(data: &[u8]) -> Demuxed {
    let (mut demuxer, mut all) = (Demuxer::new(), Demuxed::default());
    for packets in data.chunks(7 * 188) {
        demuxer.push(packets, &mut |event| all.take(event));
    }
    demuxer.flush(&mut |event| all.take(event));
    all.stats = demuxer.stats();
    all
}
