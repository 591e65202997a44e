use proptest::prelude::*;

use super::*;

const TIMELINE: &str = r#"<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z"
  minimumUpdatePeriod="PT2S" suggestedPresentationDelay="PT6S">
  <Period id="7" start="PT1000S">
    <AdaptationSet contentType="audio" mimeType="audio/mp4">
      <SegmentTemplate timescale="48000" presentationTimeOffset="48000000" initialization="a/i.mp4" media="a/t$Time$.m4s">
        <SegmentTimeline><S t="48000000" d="96000" r="1"/><S d="95000"/></SegmentTimeline>
      </SegmentTemplate>
      <Representation id="a" bandwidth="1"/>
    </AdaptationSet>
    <AdaptationSet contentType="video" mimeType="video/mp4">
      <EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="1"/>
      <SegmentTemplate timescale="1" duration="2" initialization="t" media="t"/>
      <Representation id="trick" bandwidth="1"/>
    </AdaptationSet>
    <AdaptationSet mimeType="video/mp4">
      <SegmentTemplate timescale="1" duration="2" initialization="$RepresentationID$/i.mp4"
        media="$RepresentationID$/$Number$.m4s" startNumber="0" availabilityTimeOffset="1.8"/>
      <Representation id="v" bandwidth="1"/>
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="../time"/>
</MPD>"#;

#[test]
fn a_manifest_of_either_form_reads() {
    let manifest = Manifest::read(TIMELINE).expect("a Manifest");
    assert_eq!((manifest.delay, manifest.update), (Duration::from_secs(6), Some(Duration::from_secs(2))));
    assert_eq!(manifest.timing, Some(Timing::Http("../time".into())));
    let [video, audio] = &manifest.periods[0].tracks[..] else { panic!("pictures and sound") };
    assert_eq!((video.init.as_str(), video.media.as_str()), ("v/i.mp4", "v/$Number$.m4s"));
    assert_eq!((&video.segments, video.early), (&Segments::Even(2), Duration::from_millis(1800)));
    let listed = vec![(48_000_000, 96_000), (48_096_000, 96_000), (48_192_000, 95_000)];
    assert_eq!(audio.segments, Segments::Listed(listed));
}

#[test]
fn a_manifest_of_our_own_reads() {
    use flambeau_proto::mpd;
    let manifest = mpd::Manifest { update_period: Some(Duration::from_secs(2)), ..mpd::Manifest::default() };
    let read = Manifest::read(&manifest.render()).expect("a Manifest");
    assert_eq!((read.epoch, read.update), (Utc(0), Some(Duration::from_secs(2))));
}

#[test]
fn lengths_of_time_read_as_xml_schema_writes_them() {
    for (text, seconds) in [("PT2.5S", 2.5), ("P1DT1H1M1S", 90_061.0), ("PT0S", 0.0), ("P2D", 172_800.0)] {
        assert_eq!(duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
    }
    for text in ["", "P1Y", "T1S", "PT1", "PTxS", "-PT1S", "PT1D"] {
        assert_eq!(duration(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(at in 0..TIMELINE.len(), noise in "[ -~]{0,12}") {
        let _ = Manifest::read(&noise);
        let _ = duration(&noise);
        let mut text = TIMELINE.to_owned();
        let end = (at + noise.len()).min(text.len());
        text.replace_range(at..end, &noise);
        let _ = Manifest::read(&text);
    }
}
