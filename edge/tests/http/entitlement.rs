//! Who may watch what.

use flambeau_config::{Broadcaster, ChannelConfig, Config, Entitlement, FeedConfig, Glob, Holder, Secret};

use crate::common::{Answer, Node, channel, start_with};

/// Broadcaster `rtx` (token `swordfish`) is entitled to `athletics`, `plain` (no token) to `rowing`; `open` is public.
fn start() -> Node {
    let channel_of =
        |id: &str| ChannelConfig::new(id.parse().expect("an id"), "venue".parse().expect("an id"));
    let broadcaster = |id: &str, token: Option<&str>| Broadcaster {
        id: id.parse().expect("an id"),
        label: None,
        passphrase: None,
        token: token.map(Secret::new),
    };
    let entitlement = |id: &str, channel: &str| Entitlement {
        broadcaster: Holder::One(id.parse().expect("an id")),
        feeds: Vec::new(),
        channels: vec![Glob::new(channel)],
    };
    let config = Config {
        feeds: vec![FeedConfig::new("venue".parse().expect("an id"))],
        channels: vec![
            channel_of("athletics"),
            channel_of("rowing"),
            ChannelConfig { public: true, ..channel_of("open") },
        ],
        broadcasters: vec![broadcaster("rtx", Some("swordfish")), broadcaster("plain", None)],
        entitlements: vec![
            entitlement("rtx", "ath*"),
            entitlement("rtx", "later"),
            entitlement("plain", "rowing"),
        ],
        ..Config::default()
    };
    let node = start_with(&config, |_| {});
    node.directory.open_channel(channel("rowing"));
    node.directory.open_channel(channel("open"));
    node
}

async fn watch(node: &Node, channel: &str, authorization: &str) -> Answer {
    let field = format!("Authorization: {authorization}");
    let fields: &[&str] = if authorization.is_empty() { &[] } else { &[&field] };
    node.get(&format!("/{channel}/v/100.m4s"), fields).await
}

// base64 of rtx:swordfish, rtx:wrong, plain: and nobody:swordfish
const RTX: &str = "Basic cnR4OnN3b3JkZmlzaA==";
const RTX_WRONG: &str = "Basic cnR4Ondyb25n";
const PLAIN: &str = "Basic cGxhaW46";
const NOBODY: &str = "Basic bm9ib2R5OnN3b3JkZmlzaA==";

#[tokio::test]
async fn who_shows_nothing_or_something_wrong_is_asked_who_it_is() {
    let node = start();
    for authorization in ["", "Bearer wrong", RTX_WRONG, NOBODY, "Basic !!!", "Digest x", "Bearer"] {
        for channel in ["athletics", "rowing", "nothing-of-that-name"] {
            let answer = watch(&node, channel, authorization).await;
            assert_eq!(answer.status, 401, "{authorization} for {channel}");
            let challenge = answer.field("www-authenticate");
            assert!(challenge.contains("Basic realm=") && challenge.contains("Bearer"), "{challenge}");
            assert_eq!(answer.field("cache-control"), "no-store");
        }
    }
    assert_eq!(node.stats().denied, 21);
}

#[tokio::test]
async fn a_broadcaster_watches_what_it_is_entitled_to() {
    let node = start();
    for authorization in ["Bearer swordfish", RTX] {
        let answer = watch(&node, "athletics", authorization).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("cache-control"), "private, max-age=3600, immutable");
        assert_eq!(watch(&node, "rowing", authorization).await.status, 403);
        assert_eq!(watch(&node, "nothing-of-that-name", authorization).await.status, 403);
        assert_eq!(watch(&node, "later", authorization).await.status, 404);
    }
    assert_eq!(watch(&node, "rowing", PLAIN).await.status, 200);
}

#[tokio::test]
async fn what_a_shared_cache_must_not_keep_is_private() {
    let node = start();
    let field = format!("Authorization: {RTX}");
    for path in [
        "/athletics/index.m3u8",
        "/athletics/v/index.m3u8?_HLS_msn=100",
        "/athletics/none",
        "/athletics/manifest.mpd",
    ] {
        let answer = node.get(path, &[&field]).await;
        assert!(answer.field("cache-control").starts_with("private, max-age="), "{path}: {answer:?}");
    }
    // A preflight carries no credentials (Fetch standard, "CORS-preflight fetch").
    assert_eq!(
        node.ask("OPTIONS", "/athletics/index.m3u8", &["Origin: https://a.example"]).await.status,
        204
    );
}

#[tokio::test]
async fn a_public_channel_asks_for_nothing() {
    let node = start();
    for authorization in ["", "Bearer wrong", RTX] {
        let answer = watch(&node, "open", authorization).await;
        assert_eq!((answer.status, answer.field("cache-control")), (200, "public, max-age=3600, immutable"));
    }
    let page = node.get("/", &[]).await;
    assert!(page.text().contains("/open/index.m3u8"));
    assert!(!page.text().contains("/athletics/index.m3u8"), "a stranger learns of a Channel");
}
