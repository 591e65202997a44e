//! What a change touches, and what it does not.

use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::common::on_air::OnAir;
use crate::common::publish::Encoder;
use crate::common::pull::Receiver;
use crate::common::scratch::Scratch;
use crate::common::server::{Server, Setup};
use crate::common::srt::Srt;
use crate::common::stream::Stream;
use crate::common::{seconds, until};
use crate::{FEED, OTHER, refused};

/// A server with [`FEED`] on air, which must not be disturbed, and [`OTHER`] published and pulled by `spare`.
struct Air {
    scratch: Scratch,
    server: Server,
    on_air: OnAir,
    other: crate::common::publish::Publisher,
    spare: crate::common::pull::Puller,
}

async fn start(test: &str) -> Air {
    let scratch = Scratch::new(test).await;
    let mut setup = Setup::feeds(&[FEED, OTHER], None);
    setup.rest +=
        "[[broadcasters]]\nid = \"spare\"\n[[entitlements]]\nbroadcaster = \"spare\"\nfeeds = [\"other\"]\n";
    setup.rest = setup.rest.replacen("feeds = [\"*\"]", &format!("feeds = [\"{FEED}\"]"), 1);
    let server = Server::start(&scratch, &setup).await;
    let on_air = OnAir::start(&scratch, &server, FEED, seconds(90)).await;
    let stream = Stream::make(&scratch, seconds(90), 2).await;
    let publish = Srt::publish(server.ingest, OTHER);
    let other = Encoder::SrtLiveTransmit.publish(&scratch, "other-publish", &stream, &publish);
    server.live(OTHER).await;
    let request = Srt::request(server.edge, OTHER, "spare");
    let spare = Receiver::SrtLiveTransmit.pull(&scratch, "spare-pull", &request);
    until(seconds(10), "spare receives", async || (spare.received() > 100_000).then_some(())).await;
    Air { scratch, server, on_air, other, spare }
}

impl Air {
    async fn sessions(&self) -> Vec<Value> {
        self.server.see("/api/v1/sessions").await["sessions"].as_array().expect("a list").clone()
    }

    async fn session(&self, kind: &str, resource: &str) -> Option<String> {
        let sessions = self.sessions().await;
        let found =
            sessions.iter().find(|session| session["kind"] == kind && session["resource"] == resource);
        found.map(|session| session["id"].as_str().expect("an id").to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_a_latency_or_a_limit_disturbs_nobody() {
    let mut air = start("live-harmless").await;
    let before: Vec<Value> = air.sessions().await.iter().map(|session| session["id"].clone()).collect();
    let server = &air.server;
    server.change("id = \"other\"\n", "id = \"other\"\nlabel = \"Other\"\n").await;
    server.change("[edge.srt]\n", "[edge.srt]\nlatency = \"400ms\"\nsessions_max = 50\n").await;
    server.change("[ingest.srt]\n", "[ingest.srt]\nlatency = \"200ms\"\nsessions_max = 50\n").await;
    server.change("[edge.http]\n", "[edge.http]\nconnections_per_address_max = 300\n").await;
    server.change("[[broadcasters]]\n", "[[feeds]]\nid = \"third\"\n[[broadcasters]]\n").await;
    sleep(seconds(1)).await;
    air.on_air.undisturbed().await;
    let after: Vec<Value> = air.sessions().await.iter().map(|session| session["id"].clone()).collect();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_a_feed_off_the_air_is_asked_for_and_ends_that_feed_alone() {
    let mut air = start("live-drop").await;
    let text = air.server.config().await;
    let other = "[[feeds]]\nid = \"other\"\n[[channels]]\nid = \"other\"\nfeed = \"other\"\npublic = true\n";
    assert!(text.contains(other));
    let without =
        text.replacen(other, "", 1).replacen("feeds = [\"other\"]", "feeds = [\"athletics-main\"]", 1);
    let problem = refused(&air.server.put(&without).await, 409);
    let drops = problem["drops"].to_string();
    assert!(
        drops.contains("\"feed\"") && drops.contains("\"other\"") && drops.contains("\"session\""),
        "{drops}"
    );
    assert!(!drops.contains(FEED), "{drops}");
    air.on_air.undisturbed().await;
    assert_eq!(air.server.config().await, text, "nothing changed");

    let forced = json!({ "text": without, "force": true });
    assert_eq!(air.server.ask("PUT", "/api/v1/config", Some(&forced)).await.status, 200);
    until(seconds(5), "the feed and its sessions are gone", async || {
        (air.server.feed(OTHER).await.is_none() && air.sessions().await.len() == 2).then_some(())
    })
    .await;
    assert!(air.server.tool.log().contains("venue disconnected: feed other is no longer configured"));
    air.on_air.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_ends_with_its_entitlement() {
    let mut air = start("live-entitlement").await;
    let changed = air.server.change("feeds = [\"other\"]", "channels = [\"other\"]").await;
    assert!(changed["drops"].to_string().contains("srt-out-"), "{changed}");
    until(seconds(5), "the pull is ended", async || {
        (air.session("pull", OTHER).await.is_none() && air.session("publish", OTHER).await.is_some())
            .then_some(())
    })
    .await;
    let log = air.server.tool.log();
    assert!(log.contains("it may no longer pull feed other: no Entitlement covers it"), "{log}");
    air.spare.tool.ended(seconds(10)).await;
    air.on_air.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_one_session_and_no_other() {
    let mut air = start("live-delete").await;
    let pull = air.session("pull", OTHER).await.expect("it pulls");
    assert_eq!(air.server.ask("DELETE", &format!("/api/v1/sessions/{pull}"), None).await.status, 204);
    air.spare.tool.ended(seconds(10)).await;
    let publish = air.session("publish", OTHER).await.expect("it still publishes");
    assert_eq!(air.server.ask("DELETE", &format!("/api/v1/sessions/{publish}"), None).await.status, 204);
    air.other.tool.ended(seconds(10)).await;
    until(Duration::from_secs(5), "both ends are logged", async || {
        let log = air.server.tool.log();
        let ended =
            ["venue disconnected: ended by the operator", "puller disconnected: ended by the operator"];
        ended.iter().all(|line| log.contains(line)).then_some(())
    })
    .await;
    air.on_air.undisturbed().await;
    drop(air.scratch);
}
