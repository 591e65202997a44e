//! The Manifest of what is held.

use std::collections::BTreeMap;
use std::time::Duration;

use flambeau_media::channel::Playlist;
use flambeau_media::time::CLOCK_90K;
use flambeau_media::{TrackId, Utc};
use flambeau_proto::mpd::{self, Addressing, Continues, Latency, Numbers};

use super::{Terms, text};
use crate::cues::Cues;
use crate::language;
use crate::segment::Segment;
use crate::stretches::{Rule, Stretch, Stretches};
use crate::window::Rendition;

/// How often a client comes back while nobody knows when the source does, and until what it sends then can be played.
const UPDATE_WHILE_AWAY: Duration = Duration::from_millis(250);
/// How far back of the wall clock a low-latency client is asked to play, beside five Parts.
const LATENCY_MARGIN: Duration = Duration::from_millis(500);

/// What a Manifest is made of.
#[derive(Clone, Copy)]
pub(crate) struct Shelves<'a> {
    pub(crate) renditions: &'a BTreeMap<TrackId, Rendition>,
    pub(crate) stretches: &'a Stretches,
    pub(crate) cues: &'a Cues,
    /// The Rendition whose Parts carry the cues, where the programme has any.
    pub(crate) carrier: Option<TrackId>,
    /// How many Tracks are packaged now.
    pub(crate) tracks: usize,
    /// Nothing goes on: the newest Segments are the last, for now.
    pub(crate) halted: bool,
}

/// What a Period shows of a Rendition.
struct Shown<'a> {
    rendition: &'a Rendition,
    /// Whole, oldest first; at least one, but where Segments go by number.
    segments: Vec<&'a Segment>,
    newest: &'a Segment,
}

/// The Manifest. None: there is no Period that a client could play yet.
pub(crate) fn manifest(of: Shelves<'_>, terms: &Terms) -> Option<Playlist> {
    let mut periods: Vec<mpd::Period> = Vec::new();
    let mut stretches = of.stretches.iter().peekable();
    let mut before: Option<Vec<Shown<'_>>> = None;
    let mut oldest: Option<Utc> = None;
    while let Some(stretch) = stretches.next() {
        let next = stretches.peek();
        if stretch.rule == Rule::Undecided {
            break;
        }
        let shown = of.shown(stretch, next.map(|next| next.number));
        // A Period that not every Track has reached yet would be taken for one without them.
        if shown.is_empty() || next.is_none() && shown.len() < of.tracks && !of.halted && !periods.is_empty()
        {
            continue;
        }
        // It lasts until the next begins, whatever hole there is: dash.js 5.2 takes the end of the last Period for that of
        // the presentation, and passes a hole at once within a Period alone.
        let ends = next.is_none() && terms.ended;
        let end = ends.then(|| shown.iter().map(|one| one.newest.end_utc()).min()).flatten();
        oldest = oldest
            .or_else(|| shown.iter().filter_map(|one| one.segments.first()).map(|s| s.start_utc()).min());
        let previous = periods.last().map(|period| period.id.clone());
        let continuity = previous.zip(before.as_ref()).map(|(id, shown)| (id, shown, stretch.goes_on));
        let sets = of.sets(stretch, &shown, continuity, terms);
        periods.push(mpd::Period {
            id: stretch.number.to_string(),
            start: Utc::from_ticks(stretch.starts(), CLOCK_90K),
            end,
            cues: of.carrier.is_some(),
            events: of.cues.events(stretch.start, next.map(|next| next.start)),
            sets,
        });
        before = Some(shown);
    }
    let ends = of.renditions.values().filter_map(|rendition| rendition.newest().map(Segment::end_utc));
    let depth = ends.max()?.since(oldest.unwrap_or_default());
    if periods.is_empty() {
        return None;
    }
    let newest = of.stretches.newest().map(|number| number.to_string());
    let awaited = of.halted || terms.paused || periods.last().map(|period| &period.id) != newest.as_ref();
    let target = terms.part * 5 + LATENCY_MARGIN;
    let latency = Latency { target, min: target * 2 / 3, max: target * 4 };
    let by_number = periods
        .iter()
        .flat_map(|period| &period.sets)
        .any(|set| matches!(set.addressing, Addressing::Numbers(_)));
    let manifest = mpd::Manifest {
        on_demand: false,
        published: Utc::now(),
        update_period: (!terms.ended).then_some(if awaited { UPDATE_WHILE_AWAY } else { terms.segment }),
        // Where Segments go by number, this alone tells how far back there are any.
        time_shift: if oldest.is_some() { terms.window.min(depth) } else { terms.segment },
        // Shaka at low latency goes by this alone.
        presentation_delay: if by_number { latency.min } else { terms.target_duration * 3 },
        min_buffer: terms.target_duration,
        segment_duration_max: terms.target_duration,
        time_url: Some("../time".into()),
        latency: by_number.then_some(latency),
        periods,
    };
    Some(text(manifest.render(), mpd::CONTENT_TYPE, terms))
}

impl<'a> Shelves<'a> {
    /// What each Rendition has of a stretch that ends before the Segment `until`.
    fn shown(&self, stretch: &Stretch, until: Option<u64>) -> Vec<Shown<'a>> {
        let within = |segment: &&Segment| {
            segment.place.number >= stretch.number && until.is_none_or(|n| segment.place.number < n)
        };
        let show = |rendition: &'a Rendition| {
            let segments = rendition.listed().filter(|segment| !segment.gap);
            let segments: Vec<&Segment> = segments.filter(within).collect();
            let open = rendition.open.as_ref().filter(within).filter(|_| stretch.rule != Rule::Listed);
            let newest = open.or(segments.last().copied())?;
            Some(Shown { rendition, segments, newest })
        };
        self.renditions.values().filter_map(show).collect()
    }

    fn sets(
        &self,
        stretch: &Stretch,
        shown: &[Shown<'_>],
        before: Option<(String, &Vec<Shown<'_>>, bool)>,
        terms: &Terms,
    ) -> Vec<mpd::AdaptationSet> {
        let mut sets: Vec<mpd::AdaptationSet> = Vec::new();
        for one in shown {
            let track = &one.newest.track;
            let is_audio = |set: &mpd::AdaptationSet| matches!(set.content, mpd::Content::Audio(_));
            let main = !sets.iter().any(|set| is_audio(set) != track.is_video());
            let continues = before.as_ref().and_then(|(id, before, goes_on)| {
                let name = &one.rendition.name;
                let same =
                    before.iter().any(|b| b.rendition.name == *name && b.newest.init == one.newest.init);
                let how = if *goes_on { Continues::At } else { Continues::Later };
                same.then(|| how(id.clone()))
            });
            let cues = self.carrier == Some(track.id);
            sets.extend(adaptation_set(one, stretch, terms).map(|set| mpd::AdaptationSet {
                main,
                continues,
                cues,
                ..set
            }));
        }
        sets
    }
}

fn adaptation_set(shown: &Shown<'_>, stretch: &Stretch, terms: &Terms) -> Option<mpd::AdaptationSet> {
    let (name, newest) = (&shown.rendition.name, shown.newest);
    let codec = &newest.track.codec;
    let content = match (codec.picture(), codec.sound()) {
        (Some(picture), _) => mpd::Content::Video(*picture),
        (None, sound) => mpd::Content::Audio(*sound?),
    };
    let (timescale, media, addressing) = match stretch.rule {
        // 90 kHz for all Tracks: a Segment's length is a whole number of its ticks, and so of no other's.
        Rule::Numbers { first, segment, .. } => {
            let duration = segment.max(1) as u64;
            let numbers = Numbers { first, duration, ahead: ahead(segment, terms) };
            (CLOCK_90K, "$Number$", Addressing::Numbers(numbers))
        }
        Rule::Listed | Rule::Undecided => {
            let timeline = shown.segments.iter().map(|segment| (segment.start.max(0) as u64, segment.ticks));
            (newest.track.timescale(), "t$Time$", Addressing::Timeline(timeline.collect()))
        }
    };
    Some(mpd::AdaptationSet {
        id: u32::from(newest.track.id.0),
        representation: name.clone(),
        content,
        language: language::tag(newest.track.language),
        main: false,
        cues: false,
        continues: None,
        codecs: codec.rfc6381(),
        bandwidth: shown.rendition.bandwidth().0,
        timescale,
        init: format!("{name}/{}", newest.init),
        media: format!("{name}/{media}.m4s"),
        addressing,
    })
}

/// A Segment may be asked for as soon as its first Part is there, and as much later as a Segment may be late.
fn ahead(segment: i64, terms: &Terms) -> Duration {
    let segment = Duration::from_micros(segment.max(0) as u64 * 100 / 9);
    segment.saturating_sub(terms.part + terms.segment / 20)
}
