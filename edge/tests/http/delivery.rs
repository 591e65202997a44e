//! What is served, with which head.

use flambeau_config::Config;

use crate::common::{start, start_with};

const SEGMENT: &str = "/athletics/v/100.m4s";

#[tokio::test]
async fn a_segment_is_the_parts_of_it() {
    let node = start();
    let answer = node.get(SEGMENT, &[]).await;
    assert_eq!(answer.status, 200);
    let whole: Vec<u8> = (0..10).flat_map(|n| [n; 100]).collect();
    assert_eq!(answer.body, whole);
    assert_eq!(answer.field("content-type"), "video/mp4");
    assert_eq!(answer.field("cache-control"), "public, max-age=3600, immutable");
    assert_eq!(answer.field("accept-ranges"), "bytes");
    assert!(answer.field("date").ends_with(" GMT"), "{answer:?}");
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let node = start();
    let mut client = node.connect().await;
    for n in 0..10 {
        let answer = client.ask("GET", &format!("/athletics/v/100.{n}.m4s"), &[]).await;
        assert_eq!(answer.body, [n; 100]);
    }
    client.send("GET", "/athletics/index.m3u8", &[]).await;
    client.send("GET", SEGMENT, &[]).await;
    assert_eq!(client.answer(false).await.body, b"#EXTM3U\n");
    assert_eq!(client.answer(false).await.body.len(), 1000);
    assert_eq!(node.stats().connections_total, 1);
    assert_eq!(node.stats().responses[1], 12);
    assert!(node.stats().bytes_sent > 2000);
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let node = start();
    for path in [SEGMENT, "/athletics/index.m3u8", "/athletics/v/index.m3u8", "/time"] {
        let mut client = node.connect().await;
        let head = client.ask("HEAD", path, &[]).await;
        let get = client.ask("GET", path, &[]).await;
        assert_eq!((head.status, get.status), (200, 200));
        for field in ["content-length", "content-type", "etag", "cache-control"] {
            assert_eq!(head.field(field), get.field(field), "{field} of {path}");
        }
        assert_eq!(head.field("content-length"), get.body.len().to_string());
    }
}

#[tokio::test]
async fn ranges_give_the_bytes_asked_for() {
    let node = start();
    for (range, expected, content_range) in [
        ("bytes=0-0", vec![0; 1], "bytes 0-0/1000"),
        ("bytes=199-200", vec![1, 2], "bytes 199-200/1000"),
        ("bytes=950-", vec![9; 50], "bytes 950-999/1000"),
        ("bytes=-2", vec![9; 2], "bytes 998-999/1000"),
        ("bytes=999-5000", vec![9; 1], "bytes 999-999/1000"),
    ] {
        let answer = node.get(SEGMENT, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status, answer.body.as_slice()), (206, expected.as_slice()), "{range}");
        assert_eq!(answer.field("content-range"), content_range);
        assert_eq!(answer.field("content-type"), "video/mp4");
    }
    for ignored in ["bytes=0-1,5-6", "bytes=9-1", "chunks=0-1", "bytes=x"] {
        let answer = node.get(SEGMENT, &[&format!("Range: {ignored}")]).await;
        assert_eq!((answer.status, answer.body.len()), (200, 1000), "{ignored}");
    }
    let past = node.get(SEGMENT, &["Range: bytes=1000-"]).await;
    assert_eq!((past.status, past.field("content-range")), (416, "bytes */1000"));
}

#[tokio::test]
async fn a_range_of_another_version_gets_the_whole() {
    let node = start();
    let etag = node.get(SEGMENT, &[]).await.field("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let same = node.get(SEGMENT, &["Range: bytes=0-1", &format!("If-Range: {etag}")]).await;
    assert_eq!(same.status, 206);
    let other = node.get(SEGMENT, &["Range: bytes=0-1", "If-Range: \"other\""]).await;
    assert_eq!((other.status, other.body.len()), (200, 1000));
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let node = start();
    for path in [SEGMENT, "/athletics/manifest.mpd", "/athletics/v/index.m3u8"] {
        let first = node.get(path, &[]).await;
        let etag = first.field("etag");
        let again = node.get(path, &[&format!("If-None-Match: \"x\", W/{etag}")]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.field("etag"), etag);
        assert_eq!(again.field("cache-control"), first.field("cache-control"));
        assert_eq!(node.get(path, &["If-None-Match: \"x\""]).await.status, 200);
        assert_eq!(node.get(path, &["If-Match: \"x\""]).await.status, 412);
    }
    let before = node.get("/athletics/v/index.m3u8", &[]).await;
    crate::common::advance(&node.channel, 101, 3);
    let condition = format!("If-None-Match: {}", before.field("etag"));
    assert_eq!(node.get("/athletics/v/index.m3u8", &[&condition]).await.status, 200);
}

#[tokio::test]
async fn playlists_and_manifests_are_kept_for_a_moment() {
    let node = start();
    let hls = "application/vnd.apple.mpegurl";
    for (path, content_type, cache_control) in [
        ("/athletics/index.m3u8", hls, "public, max-age=1, stale-while-revalidate=2, stale-if-error=60"),
        (
            "/athletics/manifest.mpd",
            "application/dash+xml",
            "public, max-age=0, s-maxage=1, stale-if-error=60",
        ),
        ("/athletics/v/index.m3u8", hls, "public, max-age=1, stale-if-error=60"),
        ("/athletics/v/index.m3u8?_HLS_msn=100", hls, "public, max-age=12"),
    ] {
        let answer = node.get(path, &[]).await;
        assert_eq!(answer.field("content-type"), content_type);
        assert_eq!(answer.field("cache-control"), cache_control, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_and_kept_for_a_second() {
    let node = start();
    for path in [
        "/athletics/nothing",
        "/nobody/index.m3u8",
        "/athletics",
        "/athletics/",
        "/favicon.ico",
        "/%ff/x",
        "/athletics/%ff",
        "//athletics/index.m3u8",
        "/athletics//index.m3u8",
    ] {
        let answer = node.get(path, &[]).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.field("cache-control"), "public, max-age=1");
        assert!(answer.text().ends_with(".\n") || answer.text().ends_with(").\n"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_path_is_a_name_and_never_a_file() {
    let node = start();
    for path in [
        "/athletics/../../../etc/passwd",
        "/athletics/%2e%2e/%2e%2e/etc/passwd",
        "/../etc/passwd",
        "/%2e%2e/x",
        "/athletics/v/..%2f100.m4s",
        "/athletics/v/100.m4s%00",
        "/athletics/v%5c100.m4s",
        "/athletics/v/./100.m4s",
    ] {
        assert_eq!(node.get(path, &[]).await.status, 404, "{path}");
    }
    assert_eq!(node.get("/athletics%2Fv/%31%300.m4s", &[]).await.status, 200);
    assert_eq!(node.get("http://edge/athletics/v/100.m4s", &[]).await.status, 200);
}

#[tokio::test]
async fn any_page_may_fetch_in_lab_mode() {
    let node = start();
    let answer = node.get(SEGMENT, &["Origin: https://player.example"]).await;
    assert_eq!(answer.field("access-control-allow-origin"), "*");
    for exposed in ["Date", "Content-Length", "Content-Range", "ETag"] {
        assert!(answer.field("access-control-expose-headers").contains(exposed), "{exposed}");
    }
    // An error is for the page, too: else its player cannot tell 404 from a dead network.
    assert_eq!(node.get("/athletics/no", &[]).await.field("access-control-allow-origin"), "*");
    let asks = ["Origin: https://a.example", "Access-Control-Request-Method: GET"];
    let preflight = node.ask("OPTIONS", SEGMENT, &asks).await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.field("access-control-allow-methods").contains("GET"));
    assert!(preflight.field("access-control-allow-headers").contains("Range"));
    assert!(preflight.field("access-control-allow-headers").contains("Authorization"));
}

#[tokio::test]
async fn only_the_configured_pages_may_fetch() {
    let config = Config::lab();
    let node = start_with(&config, |http| http.cors_origins = vec!["https://a.example".into()]);
    let a = node.get(SEGMENT, &["Origin: https://a.example"]).await;
    assert_eq!((a.field("access-control-allow-origin"), a.field("vary")), ("https://a.example", "Origin"));
    let b = node.get(SEGMENT, &["Origin: https://b.example"]).await;
    assert_eq!((b.status, b.field("access-control-allow-origin"), b.field("vary")), (200, "", "Origin"));
}

#[tokio::test]
async fn a_method_we_do_not_have_is_refused_with_those_we_have() {
    let node = start();
    for method in ["POST", "PUT", "DELETE", "TRACE", "BREW"] {
        let answer = node.ask(method, SEGMENT, &["Content-Length: 0"]).await;
        assert_eq!((answer.status, answer.field("allow")), (405, "GET, HEAD, OPTIONS"), "{method}");
    }
}

#[tokio::test]
async fn the_clock_is_an_xs_date_time_that_nobody_keeps() {
    let node = start();
    let answer = node.get("/time", &[]).await;
    let text = answer.text();
    assert_eq!((text.len(), &text[10..11], &text[19..20], &text[23..]), (24, "T", ".", "Z"), "{text}");
    assert!(text.starts_with("20"), "{text}");
    assert_eq!(answer.field("cache-control"), "no-store");
    assert_eq!(answer.field("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn the_front_page_leads_to_the_channels() {
    let node = start();
    let answer = node.get("/", &[]).await;
    assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
    assert!(answer.text().contains("href=\"/athletics/index.m3u8\""), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_resumes_a_download() {
    let node = start();
    let url = format!("http://{}{SEGMENT}", node.address);
    let curl = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--http1.1", "--range", "400-499", "--url", &url])
        .output()
        .await
        .expect("curl is installed");
    assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    assert_eq!(curl.stdout, [4; 100]);
}
