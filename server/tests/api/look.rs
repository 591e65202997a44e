//! What is told of what is on air.

use serde_json::{Value, json};

use crate::common::on_air::OnAir;
use crate::common::scratch::Scratch;
use crate::common::server::{Server, Setup};
use crate::common::{http, seconds, until};
use crate::{FEED, OTHER, refused};

/// The entry of that id.
fn entry<'a>(list: &'a Value, id: &str) -> &'a Value {
    list.as_array().and_then(|list| list.iter().find(|entry| entry["id"] == id)).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_its_channel_and_its_sessions_are_told_whole() {
    let scratch = Scratch::new("api-look").await;
    let mut setup = Setup::feeds(&[FEED, OTHER], None);
    setup.rest = setup.rest.replacen("[[channels]]", "label = \"Athletics\"\n[[channels]]", 1);
    let server = Server::start(&scratch, &setup).await;
    let node = server.see("/api/v1/node").await;
    assert_eq!((&node["mode"], &node["revision"]), (&json!("configured"), &json!(1)));
    assert_eq!(node["ports"].as_array().map(Vec::len), Some(4));
    assert_eq!(node["http_base"], format!("http://{}", server.http));
    let feeds = server.see("/api/v1/feeds").await;
    assert_eq!(entry(&feeds["feeds"], FEED)["state"], "expected");
    assert_eq!(entry(&server.see("/api/v1/channels").await["channels"], FEED)["state"], "off_air");

    let _on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;
    until(seconds(20), "the channel is on air", async || {
        // A player looks at it, so that there is one.
        http::get(server.http, &format!("/{FEED}/index.m3u8")).await?;
        let channel = server.see(&format!("/api/v1/channels/{FEED}")).await;
        (channel["state"] == "on_air" && channel["viewers"] == 1).then_some(())
    })
    .await;
    let channel = server.see(&format!("/api/v1/channels/{FEED}")).await;
    let video = &channel["renditions"][0];
    assert_eq!((&video["kind"], video["width"].is_u64()), (&json!("video"), true), "{channel}");
    assert!(channel["parts"].as_array().is_some_and(|parts| !parts.is_empty()), "{channel}");
    assert!(channel["parts"][0]["bytes"].as_u64() > Some(0));

    let feed = server.see(&format!("/api/v1/feeds/{FEED}")).await;
    assert_eq!(
        (&feed["state"], &feed["label"], &feed["pulls"]),
        (&json!("live"), &json!("Athletics"), &json!(1))
    );
    let sessions = server.see("/api/v1/sessions").await["sessions"].clone();
    let kinds: Vec<&Value> =
        sessions.as_array().expect("a list").iter().map(|session| &session["kind"]).collect();
    assert_eq!(kinds, [&json!("publish"), &json!("pull"), &json!("watch")], "{sessions}");
    assert_eq!(feed["publisher"]["session"], sessions[0]["id"]);
    assert_eq!((&sessions[1]["user"], &sessions[1]["state"]), (&json!("rtx"), &json!("following")));
    assert!(sessions[0]["bytes"].as_u64() > Some(0) && sessions[1]["rtt_ms"].is_f64());
    let history = server.see(&format!("/api/v1/feeds/{FEED}/history")).await;
    let newest = history["samples"].as_array().and_then(|samples| samples.last()).expect("a sample");
    assert!(newest["bit_rate"].as_u64() > Some(1_000_000), "{newest}");

    // Someone who may not publish is an event, and the Feed's last error.
    let venue = server.see("/api/v1/events?limit=1000").await;
    assert!(
        venue["events"].as_array().expect("a list").iter().any(|event| event["text"] == "venue connected")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_tells_what_it_counts_by_the_names_of_libsrt() {
    let scratch = Scratch::new("api-statistics").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let _on_air = OnAir::start(&scratch, &server, FEED, seconds(120)).await;
    // A look a second: two of them.
    tokio::time::sleep(seconds(3)).await;
    let sessions = server.see("/api/v1/sessions").await["sessions"].clone();
    for (index, count) in [(0, "pktRecv"), (1, "pktSent")] {
        let id = sessions[index]["id"].as_str().expect("an id").to_owned();
        let told = server.see(&format!("/api/v1/sessions/{id}/statistics")).await;
        let (total, interval) = (told["total"][count].as_u64(), told["interval"][count].as_u64());
        assert!(total > interval && interval > Some(0), "{told}");
        assert!(told["instant"]["msRTT"].as_f64() > Some(0.0), "{told}");
        let interval_ms = told["interval_ms"].as_u64().expect("a number");
        assert!((200..5_000).contains(&interval_ms), "{interval_ms}");
    }
    refused(&server.admin("/api/v1/sessions/srt-in-999/statistics").await, 404);
    refused(&server.admin(&format!("/api/v1/feeds/{FEED}/history?span=year")).await, 400);

    let minute = async |path: String, of: &str| {
        let told = server.see(&path).await;
        let newest = told[of].as_array().and_then(|minutes| minutes.last())?.clone();
        (newest["rtt_ms"].is_f64() && newest["loss"].is_f64()).then_some(())
    };
    until(seconds(70), "a minute has passed", async || {
        minute(format!("/api/v1/feeds/{FEED}/history?span=day"), "samples").await
    })
    .await;
    let id = sessions[1]["id"].as_str().expect("an id").to_owned();
    minute(format!("/api/v1/sessions/{id}/statistics"), "minutes").await.expect("the puller's minute too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_is_ended_is_turned_away() {
    let scratch = Scratch::new("api-viewer").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let _on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;
    let playlist = format!("/{FEED}/index.m3u8");
    until(seconds(20), "the channel is on air", async || {
        (server.get(&playlist).await.status == 200).then_some(())
    })
    .await;
    let sessions = server.see("/api/v1/sessions").await["sessions"].clone();
    let viewer = sessions.as_array().expect("a list").iter().find(|session| session["kind"] == "watch");
    let path = format!("/api/v1/sessions/{}", viewer.expect("a viewer")["id"].as_str().expect("an id"));
    assert_eq!(server.ask("DELETE", &path, None).await.status, 204);
    assert_eq!(server.get(&playlist).await.status, 403);
    refused(&server.ask("DELETE", "/api/v1/sessions/http-x", None).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_each_path_and_each_answer() {
    let scratch = Scratch::new("api-openapi").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let api = server.see("/api/v1/openapi.json").await;
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", api["openapi"]);
    let paths = api["paths"].as_object().expect("paths");
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/api/v1/node",
        "/api/v1/feeds",
        "/api/v1/feeds/{id}",
        "/api/v1/feeds/{id}/history",
        "/api/v1/sessions/{id}/statistics",
        "/api/v1/channels",
        "/api/v1/channels/{id}",
        "/api/v1/sessions",
        "/api/v1/sessions/{id}",
        "/api/v1/events",
        "/api/v1/stream",
        "/api/v1/config",
        "/api/v1/config/check",
        "/api/v1/config/reload",
        "/api/v1/config/revisions",
        "/api/v1/config/revisions/{revision}",
        "/api/v1/config/revisions/{revision}/diff",
        "/api/v1/config/revisions/{revision}/restore",
    ] {
        let operations =
            paths.get(path).and_then(Value::as_object).unwrap_or_else(|| panic!("{path} is not told"));
        for (method, operation) in operations {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} is the id of two operations");
            assert!(operation["responses"].get("401").is_some(), "{method} {path} may answer 401");
            let success = ["200", "204"].iter().any(|status| operation["responses"].get(status).is_some());
            assert!(success, "{method} {path} does not tell its success");
        }
    }
}
