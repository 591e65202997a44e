//! The XML of a Manifest. The order of elements is that of the schema DASH-MPD.xsd.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::codec::{Picture, Sound};

use super::event::inband;
use super::{AdaptationSet, Content, Continues, Latency, Manifest, Period};

impl Display for Manifest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"",
        )?;
        // ISO/IEC 23009-1 8.4 (live) and 8.12 (CMAF).
        f.write_str(" profiles=\"urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019\"")?;
        if self.on_demand {
            let length = self.end().saturating_sub(self.zero().since(Utc(0)));
            write!(f, " type=\"static\" mediaPresentationDuration=\"{}\"", Iso(length))?;
        } else {
            self.live(f)?;
        }
        let (min_buffer, longest) = (Iso(self.min_buffer), Iso(self.segment_duration_max));
        writeln!(f, " minBufferTime=\"{min_buffer}\" maxSegmentDuration=\"{longest}\">")?;
        if let Some(latency) = &self.latency {
            latency.render(f)?;
        }
        let timing = self.timing();
        let zero = self.zero();
        self.periods.iter().try_for_each(|period| period.render(f, zero, &timing))?;
        if !timing.is_empty() {
            writeln!(f, "  {timing}")?;
        }
        f.write_str("</MPD>\n")
    }
}

impl Manifest {
    fn live(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\"")?;
        write!(f, " publishTime=\"{}\"", self.published)?;
        match self.update_period {
            Some(period) => write!(f, " minimumUpdatePeriod=\"{}\"", Iso(period))?,
            // 5.3.1.2: without minimumUpdatePeriod the end must be told.
            None => write!(f, " mediaPresentationDuration=\"{}\"", Iso(self.end()))?,
        }
        let (depth, delay) = (Iso(self.time_shift), Iso(self.presentation_delay));
        write!(f, " timeShiftBufferDepth=\"{depth}\" suggestedPresentationDelay=\"{delay}\"")
    }

    /// Where its time starts.
    fn zero(&self) -> Utc {
        // 5.3.2.1: without availabilityStartTime the first Period starts at zero.
        let first = self.periods.first().filter(|_| self.on_demand);
        first.map_or(Utc(0), |period| Utc(period.start.0.max(0) / 1000 * 1000))
    }

    /// When the last Period ends.
    fn end(&self) -> Duration {
        let ends = self.periods.iter().flat_map(|period| {
            let told = period.end.into_iter();
            told.chain(period.sets.iter().filter_map(AdaptationSet::end))
        });
        ends.max().unwrap_or_default().since(Utc(0))
    }

    fn timing(&self) -> String {
        // 5.8.4.11: the value is a list of URLs; clients resolve a relative one against the Manifest.
        self.time_url.as_ref().map_or_else(String::new, |url| {
            let url = escaped(url);
            format!("<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{url}\"/>")
        })
    }
}

impl Latency {
    /// `ServiceDescription` (ISO/IEC 23009-1, K.4.2).
    fn render(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  <ServiceDescription id=\"0\">\n    <Latency referenceId=\"{REFERENCE}\" target=\"{}\" min=\"{}\" \
             max=\"{}\"/>\n    <PlaybackRate min=\"0.96\" max=\"1.04\"/>\n  </ServiceDescription>",
            self.target.as_millis(),
            self.min.as_millis(),
            self.max.as_millis()
        )
    }
}

/// The id of each `ProducerReferenceTime`: one for each set, alike.
pub(super) const REFERENCE: u32 = 0;

impl Period {
    /// `zero`: where the presentation's time starts.
    fn render(&self, f: &mut Formatter<'_>, zero: Utc, timing: &str) -> fmt::Result {
        let start_ms = self.start.0.max(0) / 1000;
        let start = Utc(start_ms * 1000).since(zero);
        write!(f, "  <Period id=\"{}\" start=\"{}\"", escaped(&self.id), Iso(start))?;
        if let Some(end) = self.end {
            write!(f, " duration=\"{}\"", Iso(end.since(Utc(start_ms * 1000))))?;
        }
        f.write_str(">\n")?;
        self.event_stream(f, start_ms)?;
        self.sets.iter().try_for_each(|set| set.render(f, start_ms, timing))?;
        f.write_str("  </Period>\n")
    }
}

impl AdaptationSet {
    fn render(&self, f: &mut Formatter<'_>, period_start_ms: i64, timing: &str) -> fmt::Result {
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
        match &self.continues {
            Some(Continues::At(id)) => continuity(f, "continuity", id)?,
            Some(Continues::Later(id)) => continuity(f, "connectivity", id)?,
            None => {}
        }
        if self.cues {
            inband(f)?;
        }
        self.reference_time(f, period_start_ms, timing)?;
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
}

/// ISO/IEC 23009-1, 5.3.2.4: `continuity` or `connectivity` with the set of this id in an earlier Period.
fn continuity(f: &mut Formatter<'_>, kind: &str, period: &str) -> fmt::Result {
    writeln!(
        f,
        "      <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:period-{kind}:2015\" value=\"{}\"/>",
        escaped(period)
    )
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
pub(super) struct Iso(pub(super) Duration);

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

pub(super) fn escaped(text: &str) -> Cow<'_, str> {
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
