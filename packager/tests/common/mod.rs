//! A venue made by ffmpeg, a Feed in accelerated time, and a viewer that reads everything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flambeau_config::{Config, Live};
use flambeau_media::channel::Channel;
use flambeau_media::directory::Directory;
use flambeau_media::feed::{History, Incoming, Publisher};
use flambeau_media::{FeedId, Utc};
use flambeau_packager::{Packager, Stats};
use tokio_util::sync::CancellationToken;

pub(crate) const START: Utc = Utc(1_795_351_881_000_000);
const PACKET_BYTES: usize = 188;

/// Runs a tool and returns what it wrote to its output; its errors must be none.
pub(crate) fn run(tool: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|e| panic!("{tool} is needed: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{tool} {args:?}: {errors}");
    output.stdout
}

/// A transport stream that ffmpeg makes of these arguments.
pub(crate) fn transport_stream(args: &str) -> Vec<u8> {
    let mut all = vec!["-v", "error", "-nostdin"];
    all.extend(args.split_whitespace());
    all.extend(["-f", "mpegts", "-"]);
    run("ffmpeg", &all)
}

/// The PCR of a packet in microseconds, if it has one.
fn pcr_us(packet: &[u8]) -> Option<i64> {
    let has_field = packet[3] & 0x20 != 0 && packet[4] >= 7 && packet[5] & 0x10 != 0;
    has_field.then(|| {
        let base = packet[6..11].iter().fold(0i64, |base, &byte| base << 8 | i64::from(byte)) >> 7;
        base * 100 / 9
    })
}

/// Wraps at 33 bits of 90 kHz.
const PCR_WRAP_US: i64 = (1i64 << 33) * 100 / 9;

/// A Channel that is being packaged.
pub(crate) struct Stage {
    pub(crate) directory: Arc<Directory>,
    pub(crate) feed: FeedId,
    packager: Packager,
    publisher: Option<Publisher>,
    shutdown: CancellationToken,
    time: Instant,
    utc: Utc,
    packets: u64,
}

impl Stage {
    pub(crate) fn new(part: Duration, segment: Duration) -> Self {
        let mut config = Config::lab();
        config.packager.part = part;
        config.packager.segment = segment;
        config.packager.window = Duration::from_secs(600);
        let directory = Arc::new(Directory::default());
        let shutdown = CancellationToken::new();
        let packager = flambeau_packager::start(&Live::new(config), directory.clone(), shutdown.clone());
        let feed = "venue".parse().expect("an id");
        let time = Instant::now();
        Self { directory, feed, packager, publisher: None, shutdown, time, utc: START, packets: 0 }
    }

    /// Publishes the stream as its own clock tells, without waiting; the venue leaves afterwards if `leaves`.
    pub(crate) async fn publish(&mut self, stream: &[u8], leaves: bool) {
        let history = History { bytes_max: 1 << 30, age_max: Duration::from_secs(3600) };
        if self.publisher.is_none() {
            self.publisher = Some(self.directory.publish(&self.feed, history));
            // The packager reads from where the Feed is when it subscribes.
            self.until(|stats| stats.running).await;
        }
        let publisher = self.publisher.as_ref().expect("just made");
        let (base, began) = (self.utc, self.time);
        let mut first = None;
        let mut elapsed = 0;
        for piece in stream.chunks(7 * PACKET_BYTES) {
            for pcr in piece.chunks_exact(PACKET_BYTES).filter_map(pcr_us) {
                elapsed = (pcr - *first.get_or_insert(pcr)).rem_euclid(PCR_WRAP_US);
            }
            self.utc = Utc(base.0 + elapsed);
            self.time = began + Duration::from_micros(elapsed as u64);
            let data = piece.to_vec().into();
            let (time, utc) = (self.time, self.utc);
            let incoming = Incoming { data, time, utc, random_access: None, discontinuity: false };
            publisher.write(&mut vec![incoming]).expect("the only publisher");
        }
        self.packets += (stream.len() / PACKET_BYTES) as u64;
        let packets = self.packets;
        self.until(|stats| stats.demux.packets >= packets).await;
        if leaves {
            self.publisher = None;
        }
    }

    /// Time passes at the venue.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.utc = self.utc.plus(time);
        self.time += time;
    }

    pub(crate) fn stats(&self) -> Stats {
        self.packager.stats().into_iter().map(|(_, stats)| stats).next().unwrap_or_default()
    }

    pub(crate) async fn until(&self, reached: impl Fn(&Stats) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(&self.stats()) {
            assert!(Instant::now() < deadline, "not reached in time: {:?}", self.stats());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The venue leaves for good; what a viewer can read then.
    pub(crate) async fn close(mut self) -> Viewer {
        let channel = self.directory.channel(self.feed.as_str()).expect("the Channel is open");
        self.publisher = None;
        self.directory.reap(|_| Duration::ZERO);
        self.until(|stats| !stats.running).await;
        let stats = self.stats();
        self.shutdown.cancel();
        self.packager.stopped().await;
        Viewer { channel, stats }
    }
}

/// A Segment as a Playlist tells of it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listed {
    pub(crate) uri: String,
    pub(crate) seconds: f64,
    pub(crate) map: String,
    pub(crate) discontinuity: bool,
    pub(crate) parts: Vec<(String, f64)>,
}

/// Everything that can be read of a Channel.
pub(crate) struct Viewer {
    pub(crate) channel: Arc<Channel>,
    pub(crate) stats: Stats,
}

impl Viewer {
    pub(crate) fn text(&self, path: &str) -> String {
        let playlist = self.channel.playlist(path).unwrap_or_else(|| panic!("no {path}"));
        String::from_utf8(playlist.borrow().body.plain().to_vec()).expect("text")
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let object = self.channel.object(path).unwrap_or_else(|| panic!("no {path}"));
        object.pieces.concat()
    }

    /// The Renditions the multivariant Playlist names.
    pub(crate) fn renditions(&self) -> Vec<String> {
        let text = self.text("index.m3u8");
        let mut found: Vec<String> = text
            .lines()
            .flat_map(|line| line.split('"').chain([line]))
            .filter_map(|piece| piece.strip_suffix("/index.m3u8"))
            .map(str::to_owned)
            .collect();
        found.sort();
        found.dedup();
        found
    }

    pub(crate) fn segments(&self, rendition: &str) -> Vec<Listed> {
        let (mut segments, mut next) = (Vec::new(), Listed::default());
        for line in self.text(&format!("{rendition}/index.m3u8")).lines() {
            if let Some(rest) = line.strip_prefix("#EXT-X-PART:DURATION=") {
                let (seconds, rest) = rest.split_once(',').expect("more attributes");
                let uri = rest.split('"').nth(1).expect("a URI").to_owned();
                next.parts.push((uri, seconds.parse().expect("seconds")));
            } else if let Some(rest) = line.strip_prefix("#EXT-X-MAP:URI=") {
                next.map = rest.trim_matches('"').to_owned();
            } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
                next.seconds = rest.trim_end_matches(',').parse().expect("seconds");
            } else if line == "#EXT-X-DISCONTINUITY" {
                next.discontinuity = true;
            } else if !line.starts_with('#') {
                next.uri = line.to_owned();
                let map = next.map.clone();
                segments.push(std::mem::replace(&mut next, Listed { map, ..Listed::default() }));
            }
        }
        segments
    }

    /// Each stretch of one init segment as a file of its own.
    pub(crate) fn files(&self, rendition: &str, name: &str) -> Vec<PathBuf> {
        let mut files: Vec<Vec<u8>> = Vec::new();
        let mut map = String::new();
        for segment in self.segments(rendition) {
            if segment.map != map || segment.discontinuity {
                files.push(self.bytes(&format!("{rendition}/{}", segment.map)));
                map = segment.map.clone();
            }
            let file = files.last_mut().expect("a map before the first Segment");
            file.extend(self.bytes(&format!("{rendition}/{}", segment.uri)));
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let write = |(n, bytes): (usize, Vec<u8>)| {
            let path = directory.join(format!("{name}-{rendition}-{n}.mp4"));
            std::fs::write(&path, bytes).expect("the directory can be written");
            path
        };
        files.into_iter().enumerate().map(write).collect()
    }

    /// Everything a player may ask for, as files; returns where.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let write = |path: &str, bytes: &[u8]| {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().expect("a directory")).expect("it can be made");
            std::fs::write(file, bytes).expect("it can be written");
        };
        for path in ["index.m3u8", "manifest.mpd"] {
            write(path, self.text(path).as_bytes());
        }
        for rendition in self.renditions() {
            let path = format!("{rendition}/index.m3u8");
            write(&path, self.text(&path).as_bytes());
            for segment in self.segments(&rendition) {
                for file in [&segment.uri, &segment.map] {
                    let path = format!("{rendition}/{file}");
                    write(&path, &self.bytes(&path));
                }
            }
        }
        root
    }

    /// Holds what must hold of every Channel: Parts make Segments, lengths add up, ffmpeg decodes all of it
    /// without a word. Returns the packets of each Rendition.
    pub(crate) fn check(&self, name: &str) -> BTreeMap<String, Vec<Packet>> {
        let mut packets = BTreeMap::new();
        for rendition in self.renditions() {
            let segments = self.segments(&rendition);
            assert!(segments.len() > 1, "{rendition}: {segments:?}");
            for (at, segment) in segments.iter().enumerate().filter(|(_, segment)| !segment.parts.is_empty())
            {
                let sum: f64 = segment.parts.iter().map(|(_, seconds)| seconds).sum();
                // Where all break off, all are told to be as long as the longest. Lengths are told in milliseconds.
                let breaks = segments.get(at + 1).is_some_and(|next| next.discontinuity);
                let more_max = if breaks { 0.5 } else { 1.1e-3 };
                assert!((-1.1e-3..more_max).contains(&(segment.seconds - sum)), "{segment:?}");
                let parts: Vec<u8> = segment
                    .parts
                    .iter()
                    .flat_map(|(uri, _)| self.bytes(&format!("{rendition}/{uri}")))
                    .collect();
                assert!(parts == self.bytes(&format!("{rendition}/{}", segment.uri)));
            }
            let mut of_rendition = Vec::new();
            for file in self.files(&rendition, name) {
                let path = file.to_str().expect("a path of UTF-8");
                run("ffmpeg", &["-v", "warning", "-nostdin", "-xerror", "-i", path, "-f", "null", "-"]);
                of_rendition.extend(packets_of(path));
            }
            let listed: f64 = segments.iter().map(|segment| segment.seconds).sum();
            let held: f64 = of_rendition.iter().map(|packet| packet.duration).sum();
            // ffprobe takes the last frame of a file to be as long as the others.
            assert!((listed - held).abs() < 0.05, "{rendition}: {listed} s listed, {held} s held");
            packets.insert(rendition, of_rendition);
        }
        packets
    }
}

/// A packet as ffprobe tells of it, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) pts: f64,
    pub(crate) dts: f64,
    pub(crate) duration: f64,
}

pub(crate) fn packets_of(path: &str) -> Vec<Packet> {
    let entries = "packet=pts_time,dts_time,duration_time";
    let text = run("ffprobe", &["-v", "warning", "-show_entries", entries, "-of", "csv=p=0", path]);
    let text = String::from_utf8(text).expect("text");
    let number = |field: Option<&str>| field.and_then(|f| f.trim().parse().ok()).unwrap_or(f64::NAN);
    let packet = |line: &str| {
        let mut fields = line.split(',');
        Packet { pts: number(fields.next()), dts: number(fields.next()), duration: number(fields.next()) }
    };
    let mut packets: Vec<Packet> = text.lines().filter(|line| !line.is_empty()).map(packet).collect();
    // ffprobe does not know the length of the first frame of some sounds.
    for n in 1..packets.len() {
        if packets[n - 1].duration.is_nan() {
            packets[n - 1].duration = packets[n].dts - packets[n - 1].dts;
        }
    }
    packets
}

/// Decoding times go on without a gap or an overlap.
pub(crate) fn assert_continuous(packets: &[Packet]) {
    for pair in packets.windows(2) {
        let off = pair[1].dts - pair[0].dts - pair[0].duration;
        assert!(off.abs() < 0.0005, "{pair:?}");
    }
}
