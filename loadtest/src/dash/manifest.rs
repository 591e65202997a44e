//! Manifests as a client reads them (ISO/IEC 23009-1, 5.3).

use std::time::Duration;

use flambeau_media::Utc;
use roxmltree::{Document, Node, ParsingOptions};

/// Why a text is no live Manifest that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No XML.
    #[error("manifest: no XML")]
    Xml,
    /// An element or attribute that must be there is not, or makes no sense.
    #[error("manifest: {0}")]
    Missing(&'static str),
    /// Larger than any Manifest.
    #[error("manifest: too large")]
    TooLarge,
}

impl Manifest {
    /// When the Period at this place ends, since the epoch, where that is known (5.3.2.1).
    pub fn end_of(&self, at: usize) -> Option<Duration> {
        let told = self.periods.get(at).and_then(|period| Some(period.start + period.duration?));
        let next = self.periods.get(at + 1).map(|next| next.start);
        told.into_iter().chain(next).min()
    }
}

/// A live Manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manifest {
    /// What all times count from.
    pub epoch: Utc,
    /// When to come back; None: never.
    pub update: Option<Duration>,
    /// How far behind to play: the latency it asks for, or its suggested delay.
    pub delay: Duration,
    /// Where to read the time: a path seen from the Manifest, and whether it is the value itself.
    pub timing: Option<Timing>,
    /// Oldest first.
    pub periods: Vec<Period>,
}

/// Where the time comes from (5.8.4.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// An xs:dateTime is at this address.
    Http(String),
    /// This was the time when the Manifest was sent.
    Direct(Utc),
}

/// A Period.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Period {
    /// Unlike that of any other.
    pub id: String,
    /// Since the epoch.
    pub start: Duration,
    /// How long it is, where that is known.
    pub duration: Option<Duration>,
    /// What a viewer plays: pictures first.
    pub tracks: Vec<Track>,
}

/// A Representation and its Segments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    /// Pictures, or sound.
    pub is_video: bool,
    /// Where its init segment is.
    pub init: String,
    /// Where its Segments are, with `$Number$` or `$Time$`.
    pub media: String,
    /// Ticks a second.
    pub timescale: u64,
    /// Time of the media at the Period's start, in ticks.
    pub offset: u64,
    /// The number of the first Segment.
    pub first: u64,
    /// How much earlier than whole a Segment can be asked for.
    pub early: Duration,
    /// Which Segments there are.
    pub segments: Segments,
}

/// Which Segments there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Segments {
    /// One after the other, each of so many ticks.
    Even(u64),
    /// Start and length of each, in ticks.
    Listed(Vec<(u64, u64)>),
}

impl Default for Segments {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Manifest {
    /// Reads a Manifest.
    pub fn read(text: &str) -> Result<Self, Error> {
        if text.len() > BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|_| Error::Xml)?;
        let mpd = document.root_element();
        if mpd.tag_name().name() != "MPD" {
            return Err(Error::Missing("no MPD"));
        }
        let live = mpd.attribute("type") == Some("dynamic");
        let epoch = mpd.attribute("availabilityStartTime").and_then(|text| text.parse().ok());
        let epoch = epoch.or((!live).then_some(Utc(0))).ok_or(Error::Missing("availabilityStartTime"))?;
        let target = child(mpd, "ServiceDescription").and_then(|service| child(service, "Latency"));
        let target = target.and_then(|latency| latency.attribute("target")?.parse().ok());
        let delay = target.map(Duration::from_millis).or(duration_of(mpd, "suggestedPresentationDelay"));
        let periods: Result<Vec<Period>, Error> =
            children(mpd, "Period").map(|period| read_period(period, base(mpd))).collect();
        Ok(Self {
            epoch,
            update: duration_of(mpd, "minimumUpdatePeriod"),
            delay: delay.unwrap_or(DELAY),
            timing: children(mpd, "UTCTiming").find_map(read_timing),
            periods: periods?,
        })
    }
}

fn read_timing(timing: Node<'_, '_>) -> Option<Timing> {
    let value = timing.attribute("value")?;
    match timing.attribute("schemeIdUri")? {
        "urn:mpeg:dash:utc:http-iso:2014" | "urn:mpeg:dash:utc:http-xsdate:2014" => {
            // The value is a list of addresses.
            Some(Timing::Http(value.split_whitespace().next()?.to_owned()))
        }
        "urn:mpeg:dash:utc:direct:2014" => value.parse().ok().map(Timing::Direct),
        _ => None,
    }
}

fn read_period(period: Node<'_, '_>, above: String) -> Result<Period, Error> {
    let start = duration_of(period, "start").unwrap_or_default();
    let above = above + &base(period);
    let mut tracks: Vec<Track> = Vec::new();
    for set in children(period, "AdaptationSet") {
        let kind = ["contentType", "mimeType"].iter().find_map(|name| set.attribute(*name));
        let representation = child(set, "Representation").ok_or(Error::Missing("Representation"))?;
        let kind = kind.or(representation.attribute("mimeType")).unwrap_or_default();
        let is_video = kind.starts_with("video");
        // The first of each kind: trick play is for who seeks.
        let trick = children(set, "EssentialProperty").next().is_some();
        let wanted = is_video || kind.starts_with("audio");
        if !wanted || trick || tracks.iter().any(|track| track.is_video == is_video) {
            continue;
        }
        let above = above.clone() + &base(set) + &base(representation);
        let template = child(representation, "SegmentTemplate").or(child(set, "SegmentTemplate"));
        let template = template.ok_or(Error::Missing("SegmentTemplate"))?;
        tracks.push(read_track(template, representation, is_video, &above)?);
    }
    tracks.sort_by_key(|track| !track.is_video);
    let (id, duration) =
        (period.attribute("id").unwrap_or_default().to_owned(), duration_of(period, "duration"));
    Ok(Period { id, start, duration, tracks })
}

fn read_track(
    template: Node<'_, '_>,
    representation: Node<'_, '_>,
    is_video: bool,
    above: &str,
) -> Result<Track, Error> {
    let number = |name: &str| template.attribute(name).and_then(|text| text.parse::<u64>().ok());
    let id = representation.attribute("id").unwrap_or_default();
    let bandwidth = representation.attribute("bandwidth").unwrap_or_default();
    let address = |name: &'static str| {
        let text = template.attribute(name).ok_or(Error::Missing(name))?;
        let filled = text.replace("$RepresentationID$", id).replace("$Bandwidth$", bandwidth);
        Ok(format!("{above}{filled}"))
    };
    let segments = match child(template, "SegmentTimeline") {
        Some(timeline) => Segments::Listed(read_timeline(timeline)?),
        None => Segments::Even(number("duration").filter(|d| *d > 0).ok_or(Error::Missing("duration"))?),
    };
    let early = template.attribute("availabilityTimeOffset").and_then(|text| text.parse().ok());
    Ok(Track {
        is_video,
        init: address("initialization")?,
        media: address("media")?,
        timescale: number("timescale").unwrap_or(1).max(1),
        offset: number("presentationTimeOffset").unwrap_or(0),
        first: number("startNumber").unwrap_or(1),
        early: early.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default(),
        segments,
    })
}

/// Start and length of each Segment (5.3.9.6).
fn read_timeline(timeline: Node<'_, '_>) -> Result<Vec<(u64, u64)>, Error> {
    let mut listed: Vec<(u64, u64)> = Vec::new();
    for run in children(timeline, "S") {
        let number = |name: &str| run.attribute(name).and_then(|text| text.parse::<u64>().ok());
        let length = number("d").filter(|d| *d > 0).ok_or(Error::Missing("S@d"))?;
        let after = listed.last().map_or(0, |(start, length)| start + length);
        let start = number("t").unwrap_or(after);
        let count = number("r").unwrap_or(0).saturating_add(1);
        if listed.len() as u64 + count > SEGMENTS_MAX
            || start > u64::MAX / 4
            || length > u64::MAX / 4 / SEGMENTS_MAX
        {
            return Err(Error::TooLarge);
        }
        listed.extend((0..count).map(|n| (start + n * length, length)));
    }
    Ok(listed)
}

/// `xs:duration` without years and months: `P1DT2H3M4.5S`.
pub fn duration(text: &str) -> Option<Duration> {
    let (days, time) = text.strip_prefix('P')?.split_once('T').unwrap_or((&text[1..], ""));
    let mut seconds = 0.0;
    for (part, units) in [(days, &[('D', 86_400.0)][..]), (time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])] {
        let mut rest = part;
        while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
            let unit = units.iter().find(|(letter, _)| rest[at..].starts_with(*letter))?.1;
            seconds += rest[..at].parse::<f64>().ok()? * unit;
            rest = &rest[at + 1..];
        }
        if !rest.is_empty() {
            return None;
        }
    }
    Duration::try_from_secs_f64(seconds).ok()
}

fn duration_of(node: Node<'_, '_>, name: &str) -> Option<Duration> {
    duration(node.attribute(name)?)
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn base(node: Node<'_, '_>) -> String {
    child(node, "BaseURL").and_then(|base| base.text()).unwrap_or_default().trim().to_owned()
}

/// How far behind to play where the Manifest does not say.
const DELAY: Duration = Duration::from_secs(6);
const BYTES_MAX: usize = 16 << 20;
const NODES_MAX: u32 = 200_000;
const SEGMENTS_MAX: u64 = 100_000;

#[cfg(test)]
mod tests;
