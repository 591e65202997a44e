//! The XML of a Manifest. The order of elements is that of the schema DASH-MPD.xsd.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::codec::{Picture, Sound};

use super::{AdaptationSet, Content, Manifest, Period};

impl Display for Manifest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"",
        )?;
        // ISO/IEC 23009-1 8.4 (live) and 8.12 (CMAF).
        f.write_str(
            " profiles=\"urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019\" type=\"dynamic\"",
        )?;
        f.write_str(" availabilityStartTime=\"1970-01-01T00:00:00Z\"")?;
        write!(f, " publishTime=\"{}\"", self.published)?;
        match self.update_period {
            Some(period) => write!(f, " minimumUpdatePeriod=\"{}\"", Iso(period))?,
            // 5.3.1.2: without minimumUpdatePeriod the end must be told.
            None => write!(f, " mediaPresentationDuration=\"{}\"", Iso(self.end()))?,
        }
        writeln!(
            f,
            " timeShiftBufferDepth=\"{}\" suggestedPresentationDelay=\"{}\" minBufferTime=\"{}\" \
             maxSegmentDuration=\"{}\">",
            Iso(self.time_shift),
            Iso(self.presentation_delay),
            Iso(self.min_buffer),
            Iso(self.segment_duration_max)
        )?;
        self.periods.iter().try_for_each(|period| period.render(f))?;
        if let Some(url) = &self.time_url {
            // 5.8.4.11: the value is a list of URLs; clients resolve a relative one against the Manifest.
            let url = escaped(url);
            writeln!(f, "  <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{url}\"/>")?;
        }
        f.write_str("</MPD>\n")
    }
}

impl Manifest {
    fn end(&self) -> Duration {
        let sets = self.periods.iter().flat_map(|period| &period.sets);
        let ends = sets.filter_map(|set| {
            let (time, duration) = set.timeline.last()?;
            Some(Utc::from_ticks((time + duration) as i64, set.timescale))
        });
        ends.max().unwrap_or_default().since(Utc(0))
    }
}

impl Period {
    fn render(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let start_ms = self.start.0.max(0) / 1000;
        let start = Duration::from_millis(start_ms as u64);
        writeln!(f, "  <Period id=\"{}\" start=\"{}\">", escaped(&self.id), Iso(start))?;
        self.sets.iter().try_for_each(|set| set.render(f, start_ms))?;
        f.write_str("  </Period>\n")
    }
}

impl AdaptationSet {
    fn render(&self, f: &mut Formatter<'_>, period_start_ms: i64) -> fmt::Result {
        let (kind, mime) = match self.content {
            Content::Video(_) => ("video", "video/mp4"),
            Content::Audio(_) => ("audio", "audio/mp4"),
        };
        write!(f, "    <AdaptationSet id=\"{}\" contentType=\"{kind}\" mimeType=\"{mime}\"", self.id)?;
        if let Some(language) = &self.language {
            write!(f, " lang=\"{}\"", escaped(language))?;
        }
        if let Content::Video(picture) = &self.content {
            write!(f, " par=\"{}\"", aspect(picture))?;
        }
        f.write_str(" segmentAlignment=\"true\" startWithSAP=\"1\">\n")?;
        if self.main {
            f.write_str("      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n")?;
        }
        self.template(f, period_start_ms)?;
        write!(
            f,
            "      <Representation id=\"{}\" codecs=\"{}\" bandwidth=\"{}\"",
            escaped(&self.representation),
            escaped(&self.codecs),
            self.bandwidth.max(1)
        )?;
        match &self.content {
            Content::Video(picture) => video(f, picture)?,
            Content::Audio(sound) => audio(f, sound)?,
        }
        f.write_str("    </AdaptationSet>\n")
    }

    /// `SegmentTemplate` with `SegmentTimeline` (ISO/IEC 23009-1, 5.3.9.4 and 5.3.9.6).
    fn template(&self, f: &mut Formatter<'_>, period_start_ms: i64) -> fmt::Result {
        let offset = (i128::from(period_start_ms) * i128::from(self.timescale) + 500) / 1000;
        writeln!(
            f,
            "      <SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{offset}\" \
             initialization=\"{}\" media=\"{}\">\n        <SegmentTimeline>",
            self.timescale,
            escaped(&self.init),
            escaped(&self.media)
        )?;
        for run in runs(&self.timeline) {
            f.write_str("          <S")?;
            if let Some(time) = run.time {
                write!(f, " t=\"{time}\"")?;
            }
            write!(f, " d=\"{}\"", run.duration)?;
            if run.repeat > 0 {
                write!(f, " r=\"{}\"", run.repeat)?;
            }
            f.write_str("/>\n")?;
        }
        f.write_str("        </SegmentTimeline>\n      </SegmentTemplate>\n")
    }
}

/// Segments of one length, one after the other: an `S` element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Told only where it does not follow from the run before.
    pub(super) time: Option<u64>,
    pub(super) duration: u64,
    pub(super) repeat: u64,
}

pub(super) fn runs(timeline: &[(u64, u64)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut end = None;
    for &(time, duration) in timeline {
        match runs.last_mut() {
            Some(run) if end == Some(time) && run.duration == duration => run.repeat += 1,
            _ => runs.push(Run { time: (end != Some(time)).then_some(time), duration, repeat: 0 }),
        }
        end = Some(time + duration);
    }
    runs
}

fn video(f: &mut Formatter<'_>, picture: &Picture) -> fmt::Result {
    write!(f, " width=\"{}\" height=\"{}\"", picture.width, picture.height)?;
    match picture.frame_rate {
        Some((num, 1)) if num > 0 => write!(f, " frameRate=\"{num}\"")?,
        Some((num, den)) if num > 0 && den > 0 => write!(f, " frameRate=\"{num}/{den}\"")?,
        _ => {}
    }
    let (num, den) = picture.sample_aspect;
    let scan = if picture.interlaced { "interlaced" } else { "progressive" };
    writeln!(f, " sar=\"{}:{}\" scanType=\"{scan}\"/>", num.max(1), den.max(1))
}

fn audio(f: &mut Formatter<'_>, sound: &Sound) -> fmt::Result {
    // ISO/IEC 23003-3, table "Channel Configurations": 7 is the eight channels of 7.1, 11 the seven of 6.1.
    let configuration = match sound.channels {
        8 => 7,
        7 => 11,
        channels => channels.max(1),
    };
    writeln!(
        f,
        " audioSamplingRate=\"{}\">\n        <AudioChannelConfiguration \
         schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{configuration}\"/>\n      \
         </Representation>",
        sound.sample_rate
    )
}

/// The picture's own aspect ratio in lowest terms.
fn aspect(picture: &Picture) -> String {
    let (num, den) = picture.sample_aspect;
    let wide = u64::from(picture.width.max(1)) * u64::from(num.max(1));
    let high = u64::from(picture.height.max(1)) * u64::from(den.max(1));
    let (mut a, mut b) = (wide, high);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    format!("{}:{}", wide / a, high / a)
}

/// `xs:duration` in seconds, to the millisecond.
struct Iso(Duration);

impl Display for Iso {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PT{}", self.0.as_secs())?;
        match self.0.subsec_millis() {
            0 => {}
            millis => write!(f, ".{millis:03}")?,
        }
        f.write_char('S')
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}
