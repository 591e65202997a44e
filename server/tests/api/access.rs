//! Who may ask, and what is said to who asks wrongly.

use serde_json::json;

use crate::common::scratch::Scratch;
use crate::common::server::{ADMIN_TOKEN, Server, Setup};
use crate::common::{http, seconds, until};
use crate::{FEED, refused};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_asks_for_the_token_and_health_metrics_and_the_console_do_not() {
    let scratch = Scratch::new("api-access").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let admin = server.admin;
    for path in ["/healthz", "/readyz", "/metrics", "/", "/feeds"] {
        assert_eq!(http::get(admin, path).await.expect("an answer").status, 200, "{path}");
    }
    let console = http::get(admin, "/").await.expect("an answer");
    let policy = console.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'self'") && policy.contains(&format!("http://{}", server.http)),
        "{policy}"
    );
    let tag = format!("If-None-Match: {}\r\n", console.header("etag").expect("a tag"));
    assert_eq!(http::request(admin, "GET", "/", &tag, None).await.expect("an answer").status, 304);

    let bare = http::get(admin, "/api/v1/feeds").await.expect("an answer");
    refused(&bare, 401);
    assert!(bare.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    for wrong in ["Bearer wrong", "Basic dXNlcjpwYXNz", "nonsense"] {
        let line = format!("Authorization: {wrong}\r\n");
        let answer =
            http::request(admin, "GET", "/api/v1/openapi.json", &line, None).await.expect("an answer");
        let problem = refused(&answer, 401);
        assert!(!problem.to_string().contains(ADMIN_TOKEN));
    }
    assert_eq!(server.admin("/api/v1/feeds").await.status, 200);

    // Another token holds at once, and none closes the API.
    let token = format!("token = \"{ADMIN_TOKEN}\"");
    server.change(&token, "token = \"another-token\"").await;
    refused(&server.admin("/api/v1/feeds").await, 401);
    let text = std::fs::read_to_string(&server.file).expect("it is there");
    std::fs::write(&server.file, text.replacen("token = \"another-token\"", "", 1)).expect("ours");
    server.tool.signal("HUP");
    until(seconds(10), "the API is closed", async || {
        let problem = refused(&server.admin("/api/v1/feeds").await, 401);
        problem["detail"].as_str().is_some_and(|detail| detail.contains("token_file")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_said_as_a_problem() {
    let scratch = Scratch::new("api-wrong").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    refused(&server.admin("/api/v1/nothing").await, 404);
    refused(&server.admin("/api/nothing").await, 404);
    for path in ["/api/v1/feeds/none", "/api/v1/feeds/none/history", "/api/v1/channels/none"] {
        refused(&server.admin(path).await, 404);
    }
    refused(&server.ask("DELETE", "/api/v1/sessions/srt-in-999", None).await, 404);
    let wrong = server.ask("DELETE", "/api/v1/feeds", None).await;
    refused(&wrong, 405);
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("GET")));
    for path in ["/api/v1/events?limit=0", "/api/v1/events?after=-1", "/api/v1/config/revisions/x"] {
        refused(&server.admin(path).await, 400);
    }
    refused(&server.ask("POST", "/api/v1/config/check", Some(&json!({ "texte": "" }))).await, 400);
    refused(
        &server.ask("POST", "/api/v1/config/check", Some(&json!({ "text": "x".repeat(5 << 20) }))).await,
        413,
    );
    refused(&server.ask("PUT", "/api/v1/config", None).await, 415);
    assert_eq!(server.admin("/assets/none.js").await.status, 404);
}
