//! The configuration: looked at, replaced, undone, remembered.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::common::scratch::Scratch;
use crate::common::server::{ADMIN_TOKEN, Server, Setup};
use crate::common::{http, seconds, until};
use crate::{FEED, refused};

async fn start(test: &str) -> (Scratch, Server) {
    let scratch = Scratch::new(test).await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    (scratch, server)
}

fn file_of(server: &Server) -> String {
    fs::read_to_string(&server.file).expect("the configuration is there")
}

/// Puts with the ETag of a revision.
async fn put_if(server: &Server, revision: u64, text: &str) -> http::Answer {
    let lines = format!("Authorization: Bearer {ADMIN_TOKEN}\r\nIf-Match: \"{revision}\"\r\n");
    let body = json!({ "text": text });
    http::request(server.admin, "PUT", "/api/v1/config", &lines, Some(&body)).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_checked_replaced_compared_undone_and_outlives_the_process() {
    let (scratch, mut server) = start("config-replaced").await;
    fs::set_permissions(&server.file, Permissions::from_mode(0o640)).expect("ours");
    let first = server.config().await;
    let second = first.replacen("[[channels]]", "label = \"Main\"\n[[channels]]", 1);

    let check = server.ask("POST", "/api/v1/config/check", Some(&json!({ "text": second }))).await.json();
    let change = &check["changes"][0];
    assert_eq!(
        (&change["what"], &change["subject"]),
        (&json!("changed"), &json!(format!("feeds[{FEED}].label")))
    );
    assert_eq!((&check["drops"], &check["needs_restart"]), (&json!([]), &json!([])));
    assert_eq!(file_of(&server), first, "a check changes nothing");

    let body = json!({ "text": second, "comment": "a name for people" });
    let answer = server.ask("PUT", "/api/v1/config", Some(&body)).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{}", answer.text());
    assert_eq!(answer.json()["revision"], 2);
    assert_eq!(file_of(&server), second);
    let mode = fs::metadata(&server.file).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "the mode stays");
    assert_eq!(server.see(&format!("/api/v1/feeds/{FEED}")).await["label"], "Main");

    refused(&put_if(&server, 1, &first).await, 412);
    let wrong = refused(&server.put("[edge.srt]\nlatancy = \"1s\"\n").await, 422);
    let problems = wrong["problems"].as_array().expect("the problems");
    let problem = problems.iter().find(|problem| problem["key"] == "edge.srt.latancy").expect("that one");
    assert_eq!(problem["line"], 2);
    assert!(problem["remedy"].as_str().is_some_and(|remedy| remedy.contains("latency")), "{problem}");
    assert_eq!(server.see("/api/v1/config").await["revision"], 2);

    let diff = server.see("/api/v1/config/revisions/2/diff?with=1").await;
    assert!(diff["diff"].as_str().is_some_and(|diff| diff.contains("\n+label = \"Main\"\n")), "{diff}");
    refused(&server.admin("/api/v1/config/revisions/9/diff").await, 404);
    refused(&server.ask("POST", "/api/v1/config/revisions/1/restore", Some(&json!([false]))).await, 400);
    let restored = server.ask("POST", "/api/v1/config/revisions/1/restore", Some(&json!({}))).await;
    assert_eq!(restored.json()["revision"], 3, "{}", restored.text());
    assert_eq!(file_of(&server), first);

    server.restart(&scratch).await;
    let revisions = server.see("/api/v1/config/revisions").await["revisions"].clone();
    let told: Vec<(u64, bool)> = revisions
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| (entry["revision"].as_u64().unwrap_or(0), entry["current"] == true))
        .collect();
    assert_eq!(told, [(3, true), (2, false), (1, false)], "{revisions}");
    assert_eq!((&revisions[1]["comment"], &revisions[1]["by"]), (&json!("a name for people"), &json!("api")));
    assert_eq!(server.see("/api/v1/config/revisions/2").await["text"], second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_revision_is_reported_and_nothing_else_is_lost() {
    let (scratch, mut server) = start("config-broken").await;
    server.change("[[channels]]", "label = \"Main\"\n[[channels]]").await;
    server.change("\"Main\"", "\"Other\"").await;
    let revisions = scratch.file("flambeau.state");
    assert_eq!(fs::metadata(&revisions).expect("there").permissions().mode() & 0o777, 0o700);
    let newest = revisions.join("000003.toml");
    assert_eq!(fs::metadata(&newest).expect("there").permissions().mode() & 0o777, 0o600);
    fs::write(&newest, "half").expect("ours");
    // Edited by hand while the server was away: the file is the truth, and is remembered.
    fs::write(&server.file, file_of(&server).replacen("\"Other\"", "\"By hand\"", 1)).expect("ours");
    server.restart(&scratch).await;
    let list = server.see("/api/v1/config/revisions").await["revisions"].clone();
    assert_eq!((&list[0]["revision"], &list[0]["comment"]), (&json!(4), &json!("edited by hand")), "{list}");
    assert!(list[1]["broken"].is_string() && list[2].get("broken").is_none(), "{list}");
    refused(&server.admin("/api/v1/config/revisions/3").await, 409);
    refused(&server.ask("POST", "/api/v1/config/revisions/3/restore", Some(&json!({}))).await, 409);
    assert!(server.tool.log().contains("the revision is broken"), "it is reported");
    let restored = server.ask("POST", "/api/v1/config/revisions/2/restore", Some(&json!({}))).await;
    assert_eq!(restored.json()["revision"], 5, "{}", restored.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_or_was_edited_meanwhile_is_not_overwritten() {
    let (_scratch, server) = start("config-unwritable").await;
    let text = server.config().await;
    let another = text.replacen("[[channels]]", "label = \"Main\"\n[[channels]]", 1);
    fs::set_permissions(&server.file, Permissions::from_mode(0o440)).expect("ours");
    assert_eq!(server.see("/api/v1/config").await["writable"], false);
    let problem = refused(&server.put(&another).await, 409);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("read-only")), "{problem}");
    assert_eq!(server.see("/api/v1/config/revisions").await["revisions"].as_array().map(Vec::len), Some(1));
    fs::set_permissions(&server.file, Permissions::from_mode(0o640)).expect("ours");

    let edited = format!("{text}# by hand\n");
    fs::write(&server.file, &edited).expect("ours");
    refused(&server.put(&another).await, 409);
    assert_eq!(file_of(&server), edited);
    let forced = json!({ "text": another, "force": true });
    assert_eq!(server.ask("PUT", "/api/v1/config", Some(&forced)).await.status, 200);
    assert_eq!(
        server.see("/api/v1/config/revisions/2").await["text"],
        edited,
        "what was written by hand is kept"
    );
    assert_eq!(file_of(&server), another);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_a_good_file_and_refuses_a_bad_one() {
    let (_scratch, server) = start("config-sighup").await;
    let good = file_of(&server);
    let label = async || server.see(&format!("/api/v1/feeds/{FEED}")).await["label"].clone();
    fs::write(&server.file, good.replacen("[[channels]]", "label = \"By hand\"\n[[channels]]", 1))
        .expect("ours");
    server.tool.signal("HUP");
    until(seconds(10), "the file is read", async || (label().await == "By hand").then_some(())).await;
    assert_eq!(server.see("/api/v1/node").await["revision"], 2);

    fs::write(&server.file, "[edge.srt]\nlatancy = \"1s\"\nlatency = \"1 fortnight\"\n").expect("ours");
    server.tool.signal("HUP");
    let events = until(seconds(10), "the problems are told", async || {
        let events = server.see("/api/v1/events?limit=1000").await["events"].clone();
        events.to_string().contains("SIGHUP changed nothing").then_some(events)
    })
    .await;
    let events = events.as_array().expect("a list");
    for (key, line) in [("edge.srt.latancy", "2"), ("edge.srt.latency", "3"), ("feeds", "1")] {
        let told = |event: &&Value| event["fields"]["key"] == key;
        let event = events.iter().find(told).unwrap_or_else(|| panic!("{key} is not told"));
        assert_eq!((&event["level"], &event["fields"]["line"]), (&json!("error"), &json!(line)), "{event}");
        assert!(event["fields"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{event}");
    }
    assert_eq!(label().await, "By hand", "nothing changed");
    refused(&server.ask("POST", "/api/v1/config/reload", None).await, 422);

    fs::write(&server.file, &good).expect("ours");
    assert_eq!(server.ask("POST", "/api/v1/config/reload", None).await.status, 200);
    assert_eq!(label().await, Value::Null);
    assert!(!server.tool.log().contains(ADMIN_TOKEN), "a secret is never logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listened_on_waits_for_a_restart_and_is_named() {
    let (_scratch, server) = start("config-restart").await;
    let port = format!("listen = \"{}\"", server.http);
    let answer = server.change(&port, "listen = \"127.0.0.1:1\"").await;
    assert_eq!(answer["needs_restart"], json!(["edge.http.listen"]));
    // It still is, after a change of something else.
    let answer = server.change("[[channels]]", "label = \"Main\"\n[[channels]]").await;
    assert_eq!(answer["needs_restart"], json!(["edge.http.listen"]));
    assert_eq!(server.get("/").await.status, 200, "the port is the same");
}
