//! Playlists as a client reads them (RFC 8216bis 4).

use std::collections::HashMap;
use std::time::Duration;

use crate::web::Stretch;

/// Why a text is no Playlist that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else altogether.
    #[error("playlist: it does not begin with #EXTM3U")]
    NotAPlaylist,
    /// A tag that must be there is not, or makes no sense.
    #[error("playlist: {0}")]
    Tag(&'static str),
    /// A delta update skips more or less than the Playlist it goes on from holds.
    #[error("playlist: a delta update that does not go on from the last one")]
    Delta,
    /// More than a client can be asked to keep.
    #[error("playlist: more than {SEGMENTS_MAX} segments")]
    TooLong,
}

/// The Rendition a client chooses: the first variant, and the default of its audio group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Where the media Playlists are: pictures first.
    pub playlists: Vec<String>,
}

/// A media Playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Media {
    /// No Segment is longer.
    pub target_duration: Duration,
    /// No Part is longer; None: there are none.
    pub part_target: Option<Duration>,
    /// How far from the end to play.
    pub hold_back: Duration,
    /// How far from the end to play by Parts.
    pub part_hold_back: Option<Duration>,
    /// It can be asked to wait.
    pub can_block: bool,
    /// Segments older than this can be left out.
    pub can_skip_until: Option<Duration>,
    /// Media Sequence Number of the first Segment.
    pub sequence: u64,
    /// Segments at the beginning that were left out.
    pub skipped: u64,
    /// The Segments; the last may be in the making.
    pub segments: Vec<Segment>,
    /// The Part to come.
    pub hint: Option<Hint>,
    /// Nothing will follow.
    pub ended: bool,
}

/// Something to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub uri: String,
    /// The bytes of it; None: all.
    pub stretch: Option<Stretch>,
}

/// A Part that is announced.
pub type Hint = Piece;

/// A Segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// What to fetch; nothing while it is in the making.
    pub piece: Piece,
    /// Its length; None while it is in the making.
    pub duration: Option<Duration>,
    /// It does not go on from the one before.
    pub discontinuity: bool,
    /// It is missing, and is not to be fetched.
    pub gap: bool,
    /// Its init segment.
    pub map: Piece,
    /// Its Parts.
    pub parts: Vec<Part>,
}

/// A Part of a Segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// What to fetch.
    pub piece: Piece,
    /// Its length.
    pub duration: Duration,
    /// Decoding can start with it.
    pub independent: bool,
    /// It is missing, and is not to be fetched.
    pub gap: bool,
}

impl Choice {
    /// Reads a multivariant Playlist. None: it names no variant yet.
    pub fn read(text: &str) -> Result<Option<Self>, Error> {
        let mut audio: HashMap<String, String> = HashMap::new();
        let mut variant: Option<Attributes> = None;
        for line in lines(text)? {
            if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
                let list = Attributes::read(list);
                let (group, uri) = (list.text("GROUP-ID"), list.text("URI"));
                let is_audio = list.text("TYPE").is_some_and(|kind| kind == "AUDIO");
                if let (true, Some(group), Some(uri)) = (is_audio, group, uri) {
                    let default = list.is("DEFAULT");
                    if default || !audio.contains_key(group) {
                        audio.insert(group.to_owned(), uri.to_owned());
                    }
                }
            } else if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
                variant = Some(Attributes::read(list));
            } else if let Some(variant) = variant.as_ref().filter(|_| !line.starts_with('#')) {
                let group = variant.text("AUDIO").and_then(|group| audio.get(group));
                let playlists = std::iter::once(line.to_owned()).chain(group.cloned()).collect();
                return Ok(Some(Self { playlists }));
            }
        }
        Ok(None)
    }
}

impl Media {
    /// Reads a media Playlist.
    pub fn read(text: &str) -> Result<Self, Error> {
        let mut reading = Reading::default();
        for line in lines(text)? {
            reading.line(line)?;
        }
        reading.finish()
    }

    /// Fills in what a delta update left out, from the Playlist it was asked for to go on from (RFC 8216bis 6.3.7).
    pub fn fill(&mut self, before: &Self) -> Result<(), Error> {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped == 0 {
            return Ok(());
        }
        let from = self.sequence.checked_sub(before.sequence).ok_or(Error::Delta)?;
        let range = usize::try_from(from).ok().zip(usize::try_from(from.saturating_add(skipped)).ok());
        let kept = range.and_then(|(from, to)| before.segments.get(from..to)).ok_or(Error::Delta)?;
        if kept.iter().any(|segment| segment.duration.is_none()) {
            return Err(Error::Delta);
        }
        let map = kept.last().map(|last| last.map.clone()).unwrap_or_default();
        // 4.4.4.5: a map holds until the next one, over what was left out too.
        self.segments
            .iter_mut()
            .take_while(|segment| segment.map == Piece::default())
            .for_each(|segment| segment.map = map.clone());
        self.segments.splice(..0, kept.iter().cloned());
        Ok(())
    }

    /// The Media Sequence Number and Part that come next.
    pub fn next(&self) -> (u64, u64) {
        let count = self.skipped + self.segments.len() as u64;
        match self.segments.last() {
            Some(last) if last.duration.is_none() => (self.sequence + count - 1, last.parts.len() as u64),
            _ => (self.sequence + count, 0),
        }
    }
}

/// A Playlist half read.
#[derive(Default)]
struct Reading {
    media: Media,
    next: Segment,
    /// The tags of a Segment have begun.
    begun: bool,
    map: Piece,
    targeted: bool,
    controlled: bool,
    /// Where the last byte range ended, and in what.
    range_end: HashMap<String, u64>,
    byte_range: Option<String>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), Error> {
        if !line.starts_with('#') {
            return self.segment(line);
        }
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-TARGETDURATION" => {
                self.targeted = true;
                self.media.target_duration = seconds(value).ok_or(Error::Tag("EXT-X-TARGETDURATION"))?;
            }
            "#EXT-X-PART-INF" => {
                self.media.part_target = Attributes::read(value).seconds("PART-TARGET");
            }
            "#EXT-X-MEDIA-SEQUENCE" => {
                self.media.sequence = value.parse().map_err(|_| Error::Tag("EXT-X-MEDIA-SEQUENCE"))?;
            }
            "#EXT-X-SERVER-CONTROL" => self.control(&Attributes::read(value)),
            "#EXT-X-SKIP" => {
                let skipped = Attributes::read(value).number("SKIPPED-SEGMENTS");
                self.media.skipped = skipped.ok_or(Error::Tag("EXT-X-SKIP"))?;
            }
            "#EXT-X-MAP" => {
                let list = Attributes::read(value);
                let range = list.text("BYTERANGE").map(str::to_owned);
                self.map = self.piece(list.text("URI").ok_or(Error::Tag("EXT-X-MAP"))?, range.as_deref())?;
            }
            "#EXT-X-PRELOAD-HINT" => self.hint(&Attributes::read(value))?,
            "#EXT-X-ENDLIST" => self.media.ended = true,
            _ => self.of_segment(tag, value)?,
        }
        Ok(())
    }

    /// Tags that belong to a Segment.
    fn of_segment(&mut self, tag: &str, value: &str) -> Result<(), Error> {
        match tag {
            "#EXTINF" => {
                let duration = seconds(value.split(',').next().unwrap_or_default());
                self.next.duration = Some(duration.ok_or(Error::Tag("EXTINF"))?);
            }
            "#EXT-X-DISCONTINUITY" => self.next.discontinuity = true,
            "#EXT-X-GAP" => self.next.gap = true,
            "#EXT-X-BYTERANGE" => self.byte_range = Some(value.to_owned()),
            "#EXT-X-PART" => {
                let list = Attributes::read(value);
                let range = list.text("BYTERANGE").map(str::to_owned);
                let piece =
                    self.piece(list.text("URI").ok_or(Error::Tag("EXT-X-PART"))?, range.as_deref())?;
                let duration = list.seconds("DURATION").ok_or(Error::Tag("EXT-X-PART"))?;
                let (independent, gap) = (list.is("INDEPENDENT"), list.is("GAP"));
                self.next.parts.push(Part { piece, duration, independent, gap });
                self.begun = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn control(&mut self, list: &Attributes) {
        self.controlled = true;
        self.media.can_block = list.is("CAN-BLOCK-RELOAD");
        self.media.can_skip_until = list.seconds("CAN-SKIP-UNTIL");
        self.media.part_hold_back = list.seconds("PART-HOLD-BACK");
        self.media.hold_back = list.seconds("HOLD-BACK").unwrap_or_default();
    }

    fn hint(&mut self, list: &Attributes) -> Result<(), Error> {
        if list.text("TYPE").is_none_or(|kind| kind != "PART") {
            return Ok(());
        }
        let uri = list.text("URI").ok_or(Error::Tag("EXT-X-PRELOAD-HINT"))?.to_owned();
        let stretch = match list.number("BYTERANGE-START") {
            Some(start) => Some((start, list.number("BYTERANGE-LENGTH"))),
            None => list.number("BYTERANGE-LENGTH").map(|length| (0, Some(length))),
        };
        self.media.hint = Some(Piece { uri, stretch });
        Ok(())
    }

    fn segment(&mut self, uri: &str) -> Result<(), Error> {
        let range = self.byte_range.take();
        let piece = self.piece(uri, range.as_deref())?;
        if self.next.duration.is_none() {
            return Err(Error::Tag("a Segment without EXTINF"));
        }
        let next = std::mem::take(&mut self.next);
        self.add(Segment { piece, ..next })
    }

    fn add(&mut self, segment: Segment) -> Result<(), Error> {
        self.begun = false;
        self.media.segments.push(Segment { map: self.map.clone(), ..segment });
        if self.media.segments.len() > SEGMENTS_MAX { Err(Error::TooLong) } else { Ok(()) }
    }

    /// 4.4.4.2: `LENGTH@START`; without a start it goes on where the last one of that resource ended.
    fn piece(&mut self, uri: &str, range: Option<&str>) -> Result<Piece, Error> {
        let uri = uri.to_owned();
        let Some(range) = range else { return Ok(Piece { uri, stretch: None }) };
        let (length, start) =
            range.split_once('@').map_or((range, None), |(length, start)| (length, Some(start)));
        let error = |_| Error::Tag("a byte range");
        let length: u64 = length.parse().map_err(error)?;
        let before = self.range_end.get(&uri).copied().unwrap_or(0);
        let start = start.map_or(Ok(before), |start| start.parse().map_err(error))?;
        let end = start.checked_add(length).ok_or(Error::Tag("a byte range"))?;
        self.range_end.insert(uri.clone(), end);
        Ok(Piece { uri, stretch: Some((start, Some(length))) })
    }

    fn finish(mut self) -> Result<Media, Error> {
        // 4.4.3.1: it must be there.
        if !self.targeted {
            return Err(Error::Tag("no EXT-X-TARGETDURATION"));
        }
        if self.begun {
            let last = std::mem::take(&mut self.next);
            self.add(last)?;
        }
        // 4.4.3.8: what HOLD-BACK is where it is not told.
        if self.media.hold_back.is_zero() {
            self.media.hold_back = self.media.target_duration * 3;
        }
        // 4.4.3.8: PART-HOLD-BACK must be there where Parts are.
        let lacks =
            self.media.part_target.is_some() && self.controlled && self.media.part_hold_back.is_none();
        if lacks { Err(Error::Tag("Parts without PART-HOLD-BACK")) } else { Ok(self.media) }
    }
}

/// An attribute list (4.2).
struct Attributes<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Attributes<'a> {
    fn read(list: &'a str) -> Self {
        let (mut found, mut rest) = (Vec::new(), list);
        while let Some((name, after)) = rest.split_once('=') {
            let (value, next) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => after.split_at(after.find(',').unwrap_or(after.len())),
            };
            found.push((name.trim(), value));
            rest = next.strip_prefix(',').unwrap_or(next);
        }
        Self(found)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    fn is(&self, name: &str) -> bool {
        self.text(name) == Some("YES")
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn seconds(&self, name: &str) -> Option<Duration> {
        seconds(self.text(name)?)
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

fn lines(text: &str) -> Result<impl Iterator<Item = &str>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.starts_with("#EXTM3U") {
        return Err(Error::NotAPlaylist);
    }
    Ok(text.lines().map(str::trim_end).filter(|line| !line.is_empty()))
}

/// A day of Segments of two seconds.
const SEGMENTS_MAX: usize = 43_200;
