//! Transport streams as ffmpeg makes them, through a Feed and the packager, read back by ffmpeg.

mod common;

use std::time::Duration;

use common::{Stage, assert_continuous, run, transport_stream};

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
    // A player that starts from the top reads the same.
    let top = viewer.copy("languages").join("index.m3u8");
    let top = top.to_str().expect("a path of UTF-8");
    let arguments = ["-v", "warning", "-nostdin", "-allowed_extensions", "ALL", "-i", top];
    run("ffmpeg", &[&arguments[..], &["-map", "0", "-f", "null", "-"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_29_97_frames_a_second_are_whole_frames() {
    let stream = transport_stream(&format!(
        "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 -f lavfi -i sine=440:sample_rate=44100 -t 10 \
         {H264} -g 30 -c:a aac"
    ));
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&stream, true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("ntsc");
    packets.values().for_each(|packets| assert_continuous(packets));
    assert!(viewer.text("v256/index.m3u8").contains("PART-TARGET=0.203\n"));
    assert!(viewer.text("index.m3u8").contains("FRAME-RATE=29.970"));
    let segments = viewer.segments("v256");
    let inner = segments[1..segments.len() - 1].iter();
    let parts: Vec<f64> = inner.flat_map(|segment| segment.parts.iter().map(|part| part.1)).collect();
    let six_frames = 6.0 * 1001.0 / 30_000.0;
    assert!(parts.iter().filter(|&&part| (part - six_frames).abs() < 2e-5).count() > parts.len() * 9 / 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn interlaced_pictures_with_two_sound_codecs_keep_what_they_are() {
    let stream = transport_stream(
        "-f lavfi -i testsrc2=size=1920x1080:rate=50 -f lavfi -i sine=440:sample_rate=48000 \
         -f lavfi -i sine=880:sample_rate=48000 -t 6 -map 0 -map 1 -map 2 \
         -vf interlace,setfield=tff -c:v libx264 -preset ultrafast -flags +ildct+ilme -bf 2 -g 25 -sc_threshold 0 \
         -x264-params tff=1 -pix_fmt yuv420p -c:a:0 mp2 -b:a:0 192k -c:a:1 ac3 -ac:a:1 2 \
         -metadata:s:a:0 language=deu -metadata:s:a:1 language=fra",
    );
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&stream, true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("interlaced");
    assert_eq!(packets.len(), 3);
    packets.values().for_each(|packets| assert_continuous(packets));
    assert_eq!(packets["v256"].len(), 150);
    let (manifest, multivariant) = (viewer.text("manifest.mpd"), viewer.text("index.m3u8"));
    assert!(manifest.contains("scanType=\"interlaced\"") && manifest.contains("frameRate=\"25\""));
    for sound in ["mp4a.6B", "ac-3", "LANGUAGE=\"de\"", "LANGUAGE=\"fr\""] {
        assert!(multivariant.contains(sound), "{sound}: {multivariant}");
    }
    // A browser decodes neither sound: it gets the pictures alone.
    assert_eq!(multivariant.matches("#EXT-X-STREAM-INF").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_plays() {
    let stream = transport_stream(
        "-f lavfi -i testsrc2=size=320x180:rate=50 -f lavfi -i sine=440:sample_rate=48000 -t 8 \
         -c:v libx265 -preset ultrafast -x265-params keyint=50:min-keyint=50:scenecut=0:log-level=none \
         -c:a eac3",
    );
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&stream, true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("hevc");
    packets.values().for_each(|packets| assert_continuous(packets));
    assert!(viewer.text("index.m3u8").contains("hvc1."));
    assert!(viewer.text("index.m3u8").contains("ec-3"));
}

/// Pictures and sound; their clock starts `offset` seconds on.
fn plain(seconds: u32, size: &str, offset: u32) -> Vec<u8> {
    transport_stream(&format!(
        "-f lavfi -i testsrc2=size={size}:rate=25 -f lavfi -i sine=440:sample_rate=48000 -t {seconds} \
         {H264} -c:a aac -output_ts_offset {offset}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrap_of_the_clock_leaves_no_trace() {
    // 2^33 ticks of 90 kHz are 95,443.7 s.
    let stream = plain(12, "320x180", 95_437);
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&stream, true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("wrap");
    packets.values().for_each(|packets| assert_continuous(packets));
    assert_eq!(packets["v256"].len(), 300);
    assert_eq!(viewer.stats.discontinuities, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_resolution_goes_on_with_its_own_init_segment() {
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&plain(7, "320x180", 10), false).await;
    stage.publish(&plain(7, "640x360", 17), true).await;
    let viewer = stage.close().await;
    viewer.check("resolution");
    let segments = viewer.segments("v256");
    assert_eq!(segments.iter().filter(|segment| segment.discontinuity).count(), 1);
    assert_eq!(viewer.files("v256", "resolution").len(), 2);
    assert!(viewer.text("index.m3u8").contains("RESOLUTION=640x360"));
    assert_eq!(viewer.text("manifest.mpd").matches("<Period").count(), 2);
    // Sound is cut where the pictures are, the change included.
    let cuts = |rendition| {
        viewer.segments(rendition).iter().map(|segment| segment.discontinuity).collect::<Vec<_>>()
    };
    assert_eq!(cuts("v256"), cuts("a257"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_comes_back_is_a_declared_discontinuity() {
    let mut stage = Stage::new(PART, SEGMENT);
    stage.publish(&plain(7, "320x180", 10), true).await;
    stage.pass(Duration::from_secs(5));
    stage.publish(&plain(7, "320x180", 5000), true).await;
    let viewer = stage.close().await;
    let packets = viewer.check("reconnect");
    for rendition in ["v256", "a257"] {
        let segments = viewer.segments(rendition);
        assert_eq!(segments.iter().filter(|segment| segment.discontinuity).count(), 1, "{rendition}");
        let gaps = packets[rendition].windows(2).map(|pair| pair[1].dts - pair[0].dts - pair[0].duration);
        let gaps: Vec<f64> = gaps.filter(|gap| gap.abs() > 0.01).collect();
        assert!(gaps.len() == 1 && (4.5..6.0).contains(&gaps[0]), "{rendition}: {gaps:?}");
    }
    assert_eq!(viewer.stats.discontinuities, 1);
    assert!(viewer.text("v256/index.m3u8").ends_with("#EXT-X-ENDLIST\n"));
}
