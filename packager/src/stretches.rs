//! By which rule a DASH client finds Segments, and since when: the Periods of the Manifest.
//!
//! As long as an encoder puts its key frames evenly, a Segment's number tells its time, and a client can ask for it
//! before any Manifest names it: that is what low latency over DASH rests on. A **stretch** holds as long as that
//! does. Where the numbers have strayed from the clock the next one begins, and an encoder that keeps doing so gets
//! its Segments listed one by one.

use std::collections::VecDeque;

use crate::segment::Place;

/// Segments of a stretch by number before it strays, at the least: fewer are no rule.
const REGULAR_MIN: u64 = 30;
/// Segments shorter than the others that may come before the first of full length.
const STUBS_MAX: u32 = 2;

/// How a client finds the Segments of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Not known yet: a first Segment may be shorter than those that follow.
    Undecided,
    /// By number: Segment `first` starts at `start`, each is `segment` long, in 90 kHz ticks (of UTC).
    Numbers { first: u64, start: i64, segment: i64 },
    /// Each is listed.
    Listed,
}

/// A Period of the Manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Number of its first Segment.
    pub(crate) number: u64,
    /// When that starts, in 90 kHz ticks of UTC.
    pub(crate) start: i64,
    pub(crate) rule: Rule,
    /// It starts where the one before ends.
    pub(crate) goes_on: bool,
}

/// Where the leader started a Segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) place: Place,
    /// In 90 kHz ticks of UTC.
    pub(crate) at: i64,
    /// The same on the source's own clock.
    pub(crate) source: i64,
    /// When the next one is due.
    pub(crate) due: i64,
}

/// The stretches of a Channel, oldest first.
#[derive(Debug)]
pub(crate) struct Stretches {
    /// Length of a Segment as configured, in 90 kHz ticks.
    nominal: i64,
    all: VecDeque<Stretch>,
    last: Option<Start>,
    /// Length of a Segment as the encoder makes it.
    pace: Option<i64>,
    /// The encoder keeps to no pace.
    irregular: bool,
    stubs: u32,
    /// The newest stretch goes by where its first Segment is expected to end.
    guessed: bool,
}

impl Stretches {
    /// `nominal`: length of a Segment as configured, in 90 kHz ticks. `by_number`: where the encoder allows it.
    pub(crate) fn new(nominal: i64, by_number: bool) -> Self {
        Self {
            nominal,
            all: VecDeque::new(),
            last: None,
            pace: None,
            irregular: !by_number,
            stubs: 0,
            guessed: false,
        }
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stretch> {
        self.all.iter()
    }

    /// The number that the newest starts with.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.all.back().map(|stretch| stretch.number)
    }

    /// How late a Segment may start by its number.
    pub(crate) fn late_max(&self) -> i64 {
        self.nominal / 20
    }

    /// The leader starts after a break. `interval`: how far apart its key frames were before, in 90 kHz ticks;
    /// `end`: where the media before ends.
    pub(crate) fn begin(&mut self, start: Start, interval: Option<i64>, end: i64) {
        let rule = match self.pace {
            _ if self.irregular => Rule::Listed,
            Some(pace) => {
                // Where it will be cut first, if it goes on as it did: what comes before may be shorter than the others.
                let interval = interval.unwrap_or(pace).max(1);
                let frames = ((start.due - start.at).max(1) + interval - 1) / interval;
                let nominal = start.at + frames * interval - pace;
                let fits = nominal >= end && nominal <= start.at + self.late_max();
                let by_number = Rule::Numbers { first: start.place.number, start: nominal, segment: pace };
                if fits { by_number } else { Rule::Undecided }
            }
            None => Rule::Undecided,
        };
        (self.stubs, self.guessed) = (0, true);
        self.push(start, rule, false);
        self.last = Some(start);
    }

    /// The leader goes on with the next Segment.
    pub(crate) fn cut(&mut self, start: Start) {
        let Some(last) = self.last.replace(start) else { return };
        if self.all.back().is_some_and(|stretch| stretch.rule == Rule::Undecided) {
            self.decide(last, start.source - last.source);
        }
        let Some(newest) = self.all.back().copied() else { return };
        let changes = start.place.period != last.place.period;
        let strays = !changes && self.strays(&newest, start);
        // The guess at a beginning may be wrong without the encoder being irregular.
        let guessed = std::mem::take(&mut self.guessed);
        self.irregular |= strays && !guessed && start.place.number - newest.number < REGULAR_MIN;
        if strays || changes {
            let rule = match newest.rule {
                Rule::Numbers { .. } if self.irregular => Rule::Listed,
                Rule::Numbers { .. } => self.fresh(start),
                rule => rule,
            };
            self.push(start, rule, true);
        }
    }

    /// Whether a client that goes by the numbers would look for the Segment at the wrong time.
    fn strays(&self, stretch: &Stretch, start: Start) -> bool {
        let Rule::Numbers { first, start: from, segment } = stretch.rule else { return false };
        let off = start.at - from - (start.place.number - first) as i64 * segment;
        off > self.late_max() || off < -self.nominal / 4
    }

    /// Settles a stretch whose Segment `last` was `length` long.
    fn decide(&mut self, last: Start, length: i64) {
        let earlier = self.all.len() > 1;
        let Some(stretch) = self.all.back_mut() else { return };
        if (length - self.nominal).abs() <= self.nominal / 20 {
            self.pace = Some(length);
            (stretch.number, stretch.start) = (last.place.number, last.at);
            // Counted from 1970 where nothing came before, as the numbers themselves are: ffmpeg 5.1 takes the oldest
            // number it may ask for from there, whatever the Period's start is.
            // Not from 1970 itself: a presentationTimeOffset of 0 is none to it.
            let since_1970 = last.at.div_euclid(length) - 1;
            stretch.rule = match last.place.number.checked_sub(since_1970 as u64) {
                Some(first) if !earlier => {
                    Rule::Numbers { first, start: last.at - since_1970 * length, segment: length }
                }
                _ => Rule::Numbers { first: last.place.number, start: last.at, segment: length },
            };
            return;
        }
        self.stubs += 1;
        if length > self.nominal || self.stubs > STUBS_MAX {
            (self.irregular, stretch.rule) = (true, Rule::Listed);
        }
    }

    /// By number, from this Segment on.
    fn fresh(&self, start: Start) -> Rule {
        let segment = self.pace.unwrap_or(self.nominal);
        Rule::Numbers { first: start.place.number, start: start.at, segment }
    }

    fn push(&mut self, start: Start, rule: Rule, goes_on: bool) {
        // What was never decided was never shown.
        while self.all.pop_back_if(|stretch| stretch.rule == Rule::Undecided).is_some() {}
        let goes_on = goes_on && !self.all.is_empty();
        self.all.push_back(Stretch { number: start.place.number, start: start.at, rule, goes_on });
    }

    /// Forgets what lies before the Segment of that number.
    pub(crate) fn forget_before(&mut self, number: u64) {
        while self.all.get(1).is_some_and(|next| next.number <= number) {
            self.all.pop_front();
        }
    }
}

impl Stretch {
    /// When it starts for a client, in 90 kHz ticks of UTC.
    pub(crate) fn starts(&self) -> i64 {
        match self.rule {
            Rule::Numbers { start, .. } => start,
            Rule::Undecided | Rule::Listed => self.start,
        }
    }
}

#[cfg(test)]
mod tests;
