//! HLS and DASH as players ask for them.

mod common;

use std::time::Instant;

use common::http;
use common::on_air::OnAir;
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::tool::run;
use common::{seconds, until};
use tokio::process::Command;

const FEED: &str = "athletics";

async fn on_air(scratch: &Scratch) -> (Server, OnAir) {
    let server = Server::start(scratch, &Setup::feeds(&[FEED], None)).await;
    let on_air = OnAir::start(scratch, &server, FEED, seconds(60)).await;
    let path = format!("/{FEED}/index.m3u8");
    until(seconds(15), "the Channel is there", async || {
        http::get(server.http, &path).await.filter(|answer| answer.status == 200)
    })
    .await;
    let media = media_playlist(&server).await;
    until(seconds(15), "three Segments are there", async || {
        let text = server.get(&media).await.text();
        (text.matches("#EXTINF").count() >= 3).then_some(())
    })
    .await;
    (server, on_air)
}

/// The path of the video's media Playlist.
async fn media_playlist(server: &Server) -> String {
    let text = server.get(&format!("/{FEED}/index.m3u8")).await.text();
    let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    format!("/{FEED}/{}", line.unwrap_or_else(|| panic!("no rendition in {text}")))
}

/// Reads an address with ffprobe and then with ffmpeg, neither of which may complain.
async fn plays_without_a_warning(address: &str) {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "warning", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]).arg(address);
    let (status, out, complaints) = run(&mut probe).await;
    assert!(status.success() && complaints.is_empty(), "ffprobe {address}: {status}\n{complaints}");
    assert!(out.contains("h264") && out.contains("aac"), "ffprobe {address} found {out}");
    // At the pace of a player: faster, ffmpeg asks for Segments of DASH that are not there yet.
    let mut play = Command::new("ffmpeg");
    play.args(["-hide_banner", "-nostdin", "-v", "warning", "-re", "-i"]).arg(address);
    play.args(["-t", "8", "-f", "null", "-"]);
    let (status, _, complaints) = run(&mut play).await;
    // ffmpeg reads EXT-X-MAP again after each reload of a live Playlist and remarks on it, whoever serves it.
    let of_server: Vec<&str> = complaints
        .lines()
        .filter(|line| {
            !line.contains("Found duplicated MOOV Atom") && !line.contains("Last message repeated")
        })
        .collect();
    assert!(status.success() && of_server.is_empty(), "ffmpeg {address}: {status}\n{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_reads_hls_without_a_warning() {
    let scratch = Scratch::new("hls").await;
    let (server, _on_air) = on_air(&scratch).await;
    plays_without_a_warning(&format!("http://{}/{FEED}/index.m3u8", server.http)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_reads_dash_without_a_warning() {
    let scratch = Scratch::new("dash").await;
    let (server, _on_air) = on_air(&scratch).await;
    plays_without_a_warning(&format!("http://{}/{FEED}/manifest.mpd", server.http)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn playlists_say_what_low_latency_players_need() {
    let scratch = Scratch::new("playlists").await;
    let (server, _on_air) = on_air(&scratch).await;
    let multivariant = server.get(&format!("/{FEED}/index.m3u8")).await;
    assert_eq!(multivariant.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(multivariant.header("access-control-allow-origin"), Some("*"));
    let text = multivariant.text();
    for attribute in [
        "#EXT-X-STREAM-INF",
        "BANDWIDTH=",
        "CODECS=\"avc1.",
        "mp4a.40.2",
        "RESOLUTION=1280x720",
        "FRAME-RATE=25",
        "AUDIO=",
    ] {
        assert!(text.contains(attribute), "{attribute} is missing:\n{text}");
    }
    let media = media_playlist(&server).await;
    let text = server.get(&media).await.text();
    for tag in [
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-PART-INF:PART-TARGET=",
        "CAN-BLOCK-RELOAD=YES",
        "PART-HOLD-BACK=",
        "#EXT-X-PROGRAM-DATE-TIME:",
        "#EXT-X-MAP:URI=",
        "#EXT-X-PART:",
        "#EXT-X-PRELOAD-HINT:TYPE=PART",
        "INDEPENDENT=YES",
    ] {
        assert!(text.contains(tag), "{tag} is missing:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_reload_comes_with_the_part_it_waits_for() {
    let scratch = Scratch::new("reload").await;
    let (server, _on_air) = on_air(&scratch).await;
    let media = media_playlist(&server).await;
    let text = server.get(&media).await.text();
    let number = |prefix: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(prefix));
        line.and_then(|value| value.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{prefix} in {text}"))
    };
    let next = number("#EXT-X-MEDIA-SEQUENCE:") + text.matches("#EXTINF").count() as u64 + 1;
    let asked = Instant::now();
    let answer = server.get(&format!("{media}?_HLS_msn={next}&_HLS_part=0")).await;
    let took = asked.elapsed();
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains(&format!("{next}.0.m4s")), "{}", answer.text());
    assert!(took > std::time::Duration::from_millis(20), "it did not wait: {took:?}");
    assert!(took < seconds(4), "it waited {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_announced_next_is_answered_when_it_is_made() {
    let scratch = Scratch::new("hint").await;
    let (server, _on_air) = on_air(&scratch).await;
    let media = media_playlist(&server).await;
    let text = server.get(&media).await.text();
    let hint = text.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).expect("a hint");
    let uri = hint.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("its URI");
    let folder = media.rsplit_once('/').expect("a path").0;
    let answer = server.get(&format!("{folder}/{uri}")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.windows(4).any(|window| window == b"moof"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_tells_the_time_by_our_own_clock() {
    let scratch = Scratch::new("manifest").await;
    let (server, _on_air) = on_air(&scratch).await;
    let manifest = server.get(&format!("/{FEED}/manifest.mpd")).await;
    assert_eq!(manifest.header("content-type"), Some("application/dash+xml"));
    let text = manifest.text();
    for part in
        ["type=\"dynamic\"", "urn:mpeg:dash:utc:http-iso:2014", "SegmentTemplate", "availabilityStartTime="]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let time = server.get("/time").await;
    assert!(time.status == 200 && time.text().contains('T'), "{time:?}");
}
