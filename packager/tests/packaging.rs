//! Transport streams as ffmpeg makes them, through a Feed and the packager, read back by ffmpeg.

mod common;

use std::time::Duration;

use common::{Stage, assert_continuous, transport_stream};

const PART: Duration = Duration::from_millis(200);
const SEGMENT: Duration = Duration::from_secs(2);

const PICTURES: &str = "-f lavfi -i testsrc2=size=320x180:rate=25";
const H264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -sc_threshold 0 -pix_fmt yuv420p";

#[tokio::test(flavor = "multi_thread")]
async fn two_languages_play_in_step_with_the_pictures() {
    let stream = transport_stream(&format!(
        "{PICTURES} -f lavfi -i sine=440:sample_rate=48000 -f lavfi -i sine=880:sample_rate=48000 -t 12 \
         -map 0 -map 1 -map 2 {H264} -c:a aac -metadata:s:a:0 language=fra -metadata:s:a:1 language=eng"
    ));
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&stream, true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("languages");
    assert_eq!(packets.keys().map(String::as_str).collect::<Vec<_>>(), ["a257", "a258", "v256"]);
    packets.values().for_each(|packets| assert_continuous(packets));
    let multivariant = viewer.text("index.m3u8");
    assert!(multivariant.contains("LANGUAGE=\"fr\"") && multivariant.contains("LANGUAGE=\"en\""));
    // All of what was sent from the first key frame on is there, and sound and pictures start together.
    let starts: Vec<f64> = packets.values().map(|packets| packets[0].pts).collect();
    for start in &starts {
        assert!((start - starts[2]).abs() < 0.022, "{starts:?}");
    }
    assert_eq!(packets["v256"].len(), 300);
    for segment in &viewer.segments("v256")[1..6] {
        assert_eq!(segment.seconds, 2.0);
    }
    assert_eq!(viewer.stats.discontinuities, 0);
}
