//! A player without a screen: what is buffered, what would be shown when, and when it would stand still.
//!
//! It plays at its own pace from where it started, like a set-top box: it does not speed up to catch up, and after a
//! stall it fills its buffer and goes on where it stopped. Over a hole it jumps. Time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use flambeau_media::Utc;

use crate::clock::Stamp;

/// What a viewer would say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Experience {
    /// When the first picture was shown.
    pub started: Option<Instant>,
    /// Times it stood still.
    pub stalls: u64,
    /// How long, altogether.
    pub stalled: Duration,
    /// Holes in the timeline that nothing had announced.
    pub holes: u64,
    /// Holes where a discontinuity or a gap was announced.
    pub gaps: u64,
    /// Pictures that were shown.
    pub pictures: u64,
    /// Pictures that the venue sent and the stream does not hold.
    pub pictures_lost: u64,
}

/// Media that has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// In seconds of the presentation.
    pub start: f64,
    /// In seconds of the presentation.
    pub end: f64,
    /// The stamps of its pictures, with the seconds they are shown at.
    pub stamps: Vec<(f64, Stamp)>,
    /// It was announced that it does not follow what came before.
    pub discontinuity: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Filling,
    Playing { wall: Instant, at: f64 },
    Stalled { since: Instant, at: f64 },
}

#[derive(Debug, Default)]
struct Track {
    /// Where it wants to start.
    start: Option<f64>,
    ranges: VecDeque<(f64, f64)>,
    end: Option<f64>,
    picture: Option<u32>,
}

/// The buffer and the clock of one player.
#[derive(Debug)]
pub struct Player {
    tracks: Vec<Track>,
    state: State,
    /// Not shown yet.
    stamps: VecDeque<(f64, Stamp)>,
    /// From the pictures' sending to their showing, in microseconds, since they were last taken.
    latencies: Vec<u64>,
    experience: Experience,
    /// Seconds that must be there before it goes on after a stall.
    refill: f64,
    /// Ties the wall's clock to ours.
    origin: (Instant, Utc),
}

impl Player {
    /// A player of so many tracks; the wall's clock says `utc` at `now`.
    pub fn new(tracks: usize, now: Instant, utc: Utc) -> Self {
        Self {
            tracks: (0..tracks).map(|_| Track::default()).collect(),
            state: State::Filling,
            stamps: VecDeque::new(),
            latencies: Vec::new(),
            experience: Experience::default(),
            refill: 0.0,
            origin: (now, utc),
        }
    }

    /// After a stall it goes on once so many seconds are there.
    pub fn refill(&mut self, seconds: f64) {
        self.refill = seconds;
    }

    /// A track is to start here. The player starts at the latest of all tracks.
    pub fn start(&mut self, track: usize, at: f64) {
        self.tracks[track].start = Some(at);
    }

    /// Takes in what came, in the order of the timeline.
    pub fn append(&mut self, track: usize, media: Media, now: Instant) {
        self.advance(now);
        let Media { start, end, stamps, discontinuity } = media;
        let known = &mut self.tracks[track];
        if let Some(before) = known.end
            && start > before + HOLE_MIN
        {
            let count = if discontinuity { &mut self.experience.gaps } else { &mut self.experience.holes };
            *count += 1;
        }
        match known.ranges.back_mut() {
            Some(last) if start <= last.1 + BRIDGED => last.1 = last.1.max(end),
            _ => known.ranges.push_back((start, end)),
        }
        known.end = Some(end);
        for (at, stamp) in stamps {
            if let Some(last) = known.picture.filter(|last| !discontinuity && stamp.picture > *last) {
                self.experience.pictures_lost += u64::from(stamp.picture - last - 1);
            }
            known.picture = Some(stamp.picture);
            if self.stamps.len() < STAMPS_MAX {
                self.stamps.push_back((at, stamp));
            }
        }
        self.go_on(now);
    }

    /// The track jumps over media on purpose: what is missing now is not the server's fault.
    pub fn skip(&mut self, track: usize) {
        let track = &mut self.tracks[track];
        (track.end, track.picture) = (None, None);
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Instant) {
        while let State::Playing { wall, at } = self.state {
            let target = at + now.saturating_duration_since(wall).as_secs_f64();
            let end = self.playable(at).unwrap_or(at);
            self.show(wall, at, target.min(end));
            if target <= end {
                self.state = State::Playing { wall: now.max(wall), at: target };
                self.forget(target);
                return;
            }
            let dry = wall + Duration::from_secs_f64((end - at).max(0.0));
            self.state = match self.next_after(end) {
                Some(next) => State::Playing { wall: dry, at: next },
                None => State::Stalled { since: dry, at: end },
            };
        }
    }

    /// What a viewer would say by now.
    pub fn experience(&self, now: Instant) -> Experience {
        let mut experience = self.experience;
        if let State::Stalled { since, .. } = self.state {
            count_stall(&mut experience, now.saturating_duration_since(since));
        }
        experience
    }

    /// The latencies since the last call: from a picture's sending to its showing, in microseconds.
    pub fn take_latencies(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.latencies)
    }

    /// Starts, or ends a stall, where there is something to show.
    fn go_on(&mut self, now: Instant) {
        let at = match self.state {
            State::Playing { .. } => return,
            State::Filling => {
                let starts: Option<Vec<f64>> = self.tracks.iter().map(|track| track.start).collect();
                let Some(start) = starts.and_then(|starts| starts.into_iter().reduce(f64::max)) else {
                    return;
                };
                start
            }
            State::Stalled { at, .. } => at,
        };
        let next = match self.playable(at) {
            Some(end) if end > at + HOLE_MIN => Some(at),
            _ => self.next_after(at),
        };
        let Some(next) = next else { return };
        let refilled = self.playable(next).is_some_and(|end| end + HOLE_MIN >= next + self.refill);
        match self.state {
            State::Stalled { .. } if !refilled => return,
            State::Stalled { since, .. } => {
                count_stall(&mut self.experience, now.saturating_duration_since(since));
            }
            _ => self.experience.started = Some(now),
        }
        self.state = State::Playing { wall: now, at: next };
    }

    /// Until when every track has media from `at` on.
    fn playable(&self, at: f64) -> Option<f64> {
        let end_of = |track: &Track| {
            track.ranges.iter().find(|(start, end)| *start <= at + BRIDGED && at < *end).map(|(_, end)| *end)
        };
        self.tracks.iter().map(end_of).collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::min)
    }

    /// Where every track has media again after `at`.
    fn next_after(&self, at: f64) -> Option<f64> {
        let start_of = |track: &Track| {
            track.ranges.iter().find(|(_, end)| *end > at + HOLE_MIN).map(|(start, _)| start.max(at))
        };
        let next =
            self.tracks.iter().map(start_of).collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::max)?;
        self.playable(next).is_some_and(|end| end > next + HOLE_MIN).then_some(next)
    }

    /// Shows what lies between `at`, shown at `wall`, and `until`.
    fn show(&mut self, wall: Instant, at: f64, until: f64) {
        let (began, utc) = self.origin;
        let base = utc.0 + wall.saturating_duration_since(began).as_micros() as i64;
        let (latencies, experience) = (&mut self.latencies, &mut self.experience);
        self.stamps.retain(|(shown, stamp)| {
            if *shown > until {
                return true;
            }
            // What comes before the start is decoded, not shown.
            if *shown >= at - HOLE_MIN {
                let shown = base + ((shown - at) * 1e6) as i64;
                latencies.push(u64::try_from(shown - stamp.sent).unwrap_or(0));
                experience.pictures += 1;
            }
            false
        });
    }

    fn forget(&mut self, before: f64) {
        for track in &mut self.tracks {
            while track.ranges.front().is_some_and(|(_, end)| *end < before - 1.0) {
                track.ranges.pop_front();
            }
        }
    }
}

fn count_stall(experience: &mut Experience, length: Duration) {
    if length >= STALL_MIN {
        experience.stalls += 1;
        experience.stalled += length;
    }
}

/// A hole this short, in seconds, is a rounding of ticks.
const HOLE_MIN: f64 = 0.002;
/// A hole this short, in seconds, is played over.
const BRIDGED: f64 = 0.05;
/// A stall this short is the timer's tick, not the viewer's trouble.
const STALL_MIN: Duration = Duration::from_millis(20);
/// Pictures that wait to be shown: ten minutes of 50 a second.
const STAMPS_MAX: usize = 30_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn media(start: f64, end: f64) -> Media {
        let stamp =
            Stamp { feed: 1, sent: ((start - 1000.0) * 1e6) as i64, picture: (start * 1000.0) as u32 };
        Media { start, end, stamps: vec![(start, stamp)], discontinuity: true }
    }

    fn player(tracks: usize) -> (Player, Instant) {
        let now = Instant::now();
        let mut player = Player::new(tracks, now, Utc(0));
        for track in 0..tracks {
            player.start(track, 1000.0);
        }
        (player, now)
    }

    #[test]
    fn a_steady_stream_plays_without_a_stall_at_a_steady_latency() {
        let (mut player, now) = player(2);
        for n in 0..10 {
            let (start, came) = (1000.0 + f64::from(n) * 0.2, now + n * 200 * MS + 300 * MS);
            player.append(0, media(start, start + 0.2), came);
            player.append(1, media(start, start + 0.2), came);
        }
        player.advance(now + 2100 * MS);
        let experience = player.experience(now + 2100 * MS);
        assert_eq!(experience.started, Some(now + 300 * MS));
        assert_eq!((experience.stalls, experience.holes, experience.gaps), (0, 0, 0));
        let latencies = player.take_latencies();
        assert_eq!(latencies.len(), 20);
        assert!(latencies.iter().all(|latency| latency.abs_diff(300_000) < 10), "{latencies:?}");
    }

    #[test]
    fn a_late_part_is_a_stall_of_its_length_and_latency_from_then_on() {
        let (mut player, now) = player(1);
        player.append(0, media(1000.0, 1001.0), now);
        player.advance(now + 1200 * MS);
        assert_eq!(player.experience(now + 1200 * MS).stalls, 1);
        player.append(0, media(1001.0, 1002.0), now + 1500 * MS);
        let experience = player.experience(now + 2000 * MS);
        assert_eq!((experience.stalls, experience.stalled), (1, 500 * MS));
        player.advance(now + 2400 * MS);
        assert_eq!(player.take_latencies(), [0, 500_000]);
    }

    #[test]
    fn after_a_stall_it_fills_its_buffer_before_it_goes_on() {
        let (mut player, now) = player(1);
        player.refill(0.4);
        for (n, came) in [(0_u32, 0), (1, 500), (2, 700), (3, 900)] {
            let start = 1000.0 + f64::from(n) * 0.2;
            player.append(0, media(start, start + 0.2), now + came * MS);
        }
        let experience = player.experience(now + 900 * MS);
        assert_eq!((experience.stalls, experience.stalled), (1, 500 * MS));
    }

    #[test]
    fn a_hole_is_jumped_and_told_from_one_that_was_announced() {
        let (mut player, now) = player(1);
        player.append(0, media(1000.0, 1001.0), now);
        player.append(0, Media { discontinuity: false, ..media(1003.0, 1004.0) }, now);
        player.append(0, media(1005.0, 1006.0), now);
        let experience = player.experience(now);
        assert_eq!((experience.holes, experience.gaps), (1, 1));
        player.advance(now + 2900 * MS);
        assert_eq!(player.experience(now + 2900 * MS).stalls, 0);
        assert_eq!(player.take_latencies().len(), 3);
    }

    #[test]
    fn pictures_that_are_not_there_are_missed() {
        let (mut player, now) = player(1);
        let numbered = |numbers: &[u32], start: f64, discontinuity| Media {
            start,
            end: start + 1.0,
            stamps: numbers.iter().map(|&picture| (start, Stamp { feed: 1, sent: 0, picture })).collect(),
            discontinuity,
        };
        player.append(0, numbered(&[7, 8, 10], 1000.0, false), now);
        assert_eq!(player.experience(now).pictures_lost, 1);
        player.append(0, numbered(&[20], 1001.0, true), now);
        player.skip(0);
        player.append(0, numbered(&[30], 1002.0, false), now);
        assert_eq!(player.experience(now).pictures_lost, 1);
    }

    #[test]
    fn all_tracks_must_be_there_before_it_plays() {
        let (mut player, now) = player(2);
        player.append(0, media(1000.0, 1001.0), now);
        assert_eq!(player.experience(now).started, None);
        player.append(1, media(1000.02, 1001.0), now + 100 * MS);
        assert_eq!(player.experience(now).started, Some(now + 100 * MS));
    }
}
