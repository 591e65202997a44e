//! The past of a Channel: from its beginning, over a restart, as a clip.

mod common;

use std::path::PathBuf;

use common::publish::Encoder;
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::stream::{Stream, pictures};
use common::tool::run;
use common::{seconds, until};
use flambeau_media::Utc;
use tokio::process::Command;

const FEED: &str = "athletics";
const MEDIA: &str = "/athletics/v256/index.m3u8?start=-3600";
/// Pictures from one key frame of the stream to the next.
const GOP: usize = 25;

/// A server whose memory holds six seconds, and its disk an hour.
async fn server(scratch: &Scratch) -> Server {
    let mut setup = Setup::feeds(&[FEED], None);
    let archive = scratch.file("archive");
    setup.rest += &format!(
        "[packager]\nwindow = \"6s\"\narchive = \"{}\"\narchive_window = \"1h\"\n",
        archive.display()
    );
    Server::start(scratch, &setup).await
}

/// Publishes all of the stream, and waits until it is packaged.
async fn publish(scratch: &Scratch, server: &Server, stream: &Stream, name: &str) {
    let to = Srt::publish(server.ingest, FEED);
    let publisher = Encoder::SrtLiveTransmit.publish(scratch, name, stream, &to);
    publisher.all_sent(seconds(60)).await;
    // What is on its way when the encoder ends is lost with it.
    tokio::time::sleep(seconds(1)).await;
}

/// The addresses of a Playlist's Segments, and when the last of them ends.
async fn segments(server: &Server, path: &str) -> (Vec<String>, String, Utc) {
    // After a start the archive is read while the server is ready for all else.
    let answer = until(seconds(10), "the past is there", async || {
        Some(server.get(path).await).filter(|answer| answer.status == 200)
    })
    .await;
    let text = answer.text();
    let folder = path.rsplit_once('/').expect("a path").0;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let addresses = lines.map(|line| format!("{folder}/{line}")).collect();
    let last = |tag: &str| text.lines().rev().find_map(|line| line.strip_prefix(tag));
    let start: Utc = last("#EXT-X-PROGRAM-DATE-TIME:").and_then(|time| time.parse().ok()).expect("a time");
    let length: f64 = last("#EXTINF:").and_then(|l| l.trim_end_matches(',').parse().ok()).expect("a length");
    (addresses, text, Utc(start.0 + (length * 1e6) as i64))
}

/// The file of these addresses, one after the other.
async fn joined(scratch: &Scratch, server: &Server, name: &str, paths: &[String]) -> PathBuf {
    let mut bytes = Vec::new();
    for path in paths {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        bytes.extend(answer.body);
    }
    let file = scratch.file(name);
    std::fs::write(&file, bytes).expect("a file in the scratch directory");
    file
}

/// The init segment a Playlist names last.
fn init(playlist: &str) -> String {
    let map = playlist.rsplit("#EXT-X-MAP:URI=\"").next().and_then(|rest| rest.split('"').next());
    format!("/athletics/v256/{}", map.expect("an init segment"))
}

/// Counts the pictures and the sound's frames at an address, as a player decodes them.
async fn played(address: &str, stream: &str) -> usize {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", stream, "-count_frames", "-show_entries"]);
    command.args(["stream=nb_read_frames", "-of", "default=nw=1:nk=1"]).arg(address);
    let (status, out, complaints) = run(&mut command).await;
    assert!(status.success(), "ffprobe {address}: {complaints}");
    out.lines().next().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{out}\n{complaints}"))
}

/// All that was published, from some key frame near its beginning on; the last packets may be missing.
fn is_all_of_it(got: usize, published: usize) {
    let missing = published.checked_sub(got).unwrap_or_else(|| panic!("{got} of {published} pictures"));
    assert!(missing <= 2 * GOP + 2 && (missing % GOP) <= 2, "{got} of {published} pictures");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_air_is_played_from_its_beginning_before_and_after_a_restart() {
    let scratch = Scratch::new("start-over").await;
    let mut server = server(&scratch).await;
    let stream = Stream::make(&scratch, seconds(24), 2).await;
    let published = pictures(&stream.path).await.unwrap_or(24 * 25);
    publish(&scratch, &server, &stream, "first").await;
    let live = server.get("/athletics/v256/index.m3u8").await.text();
    assert!(live.matches("#EXTINF").count() <= 6, "the window is six seconds:\n{live}");
    let (before, text, _) = segments(&server, MEDIA).await;
    assert!(before.len() >= 9 && !text.contains("#EXT-X-GAP"), "{text}");
    let stored = server.get(&before[0]).await;
    assert_eq!(stored.status, 200);

    server.restart(&scratch).await;
    let (after, text, end) = segments(&server, MEDIA).await;
    assert_eq!(after[..before.len()], before, "what is listed stays listed");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
    let again = server.get(&after[0]).await;
    assert_eq!((again.status, &again.body), (200, &stored.body));
    assert_eq!(again.header("etag"), stored.header("etag"));
    let mut paths = vec![init(&text)];
    paths.extend(after.iter().cloned());
    let file = joined(&scratch, &server, "joined.mp4", &paths).await;
    let counted = pictures(&file).await.expect("nothing to complain of");
    is_all_of_it(counted, published);

    let span = format!("start=-3600&end={end}");
    for address in ["index.m3u8", "manifest.mpd"] {
        let address = format!("http://{}/{FEED}/{address}?{span}", server.http);
        assert_eq!(played(&address, "v:0").await, counted, "{address}");
        let sound = played(&address, "a:0").await;
        assert!(sound > 40 * (counted / GOP - 2), "{sound} frames of sound at {address}");
    }

    publish(&scratch, &server, &stream, "second").await;
    let (both, text, _) = segments(&server, MEDIA).await;
    assert_eq!(both[..after.len()], after);
    assert!(both.len() >= after.len() + 9, "{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    let mut paths = vec![init(&text)];
    paths.extend(both[after.len()..].iter().cloned());
    let file = joined(&scratch, &server, "second.mp4", &paths).await;
    let open_end = pictures(&file).await.expect("nothing to complain of");
    assert!(open_end + 4 * GOP >= published && open_end <= published, "{open_end} of {published}");
    assert_eq!(server.metric("flambeau_archive_lost_segments_total", &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_keeps_what_was_whole() {
    let scratch = Scratch::new("start-over-killed").await;
    let mut server = server(&scratch).await;
    let stream = Stream::make(&scratch, seconds(12), 2).await;
    let to = Srt::publish(server.ingest, FEED);
    let _publisher = Encoder::SrtLiveTransmit.publish(&scratch, "killed", &stream, &to);
    until(seconds(30), "four Segments are on disk", async || {
        let written = server.metric("flambeau_archive_written_segments_total", &[]).await;
        (written >= 8.0).then_some(())
    })
    .await;
    let (before, _, _) = segments(&server, MEDIA).await;
    server.tool.signal("KILL");
    server.tool.ended(seconds(5)).await;
    server.start_again(&scratch).await;
    let (after, text, _) = segments(&server, MEDIA).await;
    // The newest may have been on its way to the disk.
    assert!(
        after.len() + 1 >= before.len() && before.starts_with(&after[..before.len().min(after.len())]),
        "{text}"
    );
    let mut paths = vec![init(&text)];
    paths.extend(after.iter().cloned());
    let file = joined(&scratch, &server, "killed.mp4", &paths).await;
    pictures(&file).await.expect("nothing to complain of");
}
