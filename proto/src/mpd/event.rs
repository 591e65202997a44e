//! Events of a Period.

use std::fmt::{self, Formatter};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flambeau_media::time::CLOCK_90K;

use super::{Event, Period};
use crate::isobmff::EVENT_SCHEME;

/// What a Period tells of itself: ANSI/SCTE 214-1, 6.7.4, a section as base64 within XML.
const STREAM_SCHEME: &str = "urn:scte:scte35:2014:xml+bin";
/// The namespace of SCTE-35 in XML (ANSI/SCTE 35, 11).
const NAMESPACE: &str = "http://www.scte.org/schemas/35/2016";

impl Period {
    /// `EventStream` (ISO/IEC 23009-1, 5.10.2.2).
    pub(super) fn event_stream(&self, f: &mut Formatter<'_>, start_ms: i64) -> fmt::Result {
        if !self.cues {
            return Ok(());
        }
        writeln!(f, "    <EventStream schemeIdUri=\"{STREAM_SCHEME}\" timescale=\"{CLOCK_90K}\">")?;
        self.events.iter().try_for_each(|event| event.render(f, start_ms))?;
        f.write_str("    </EventStream>\n")
    }
}

impl Event {
    /// Its time counts from the start of the Period.
    fn render(&self, f: &mut Formatter<'_>, start_ms: i64) -> fmt::Result {
        let ticks_per_ms = i64::from(CLOCK_90K) / 1000;
        let time = (self.time.ticks(CLOCK_90K) - start_ms * ticks_per_ms).max(0);
        write!(f, "      <Event presentationTime=\"{time}\"")?;
        if let Some(duration) = self.duration {
            write!(f, " duration=\"{}\"", duration.as_micros() * 9 / 100)?;
        }
        writeln!(
            f,
            " id=\"{}\"><Signal xmlns=\"{NAMESPACE}\"><Binary>{}</Binary></Signal></Event>",
            self.id,
            BASE64.encode(&self.section)
        )
    }
}

/// That the Segments of a set carry events (ISO/IEC 23009-1, 5.10.3.2).
pub(super) fn inband(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "      <InbandEventStream schemeIdUri=\"{EVENT_SCHEME}\"/>")
}
