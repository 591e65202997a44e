//! The admin API of the real binary, over real HTTP, with real sessions.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod configuration;
mod live;
mod look;
mod stream;

use common::http::Answer;
use common::server::Server;
use serde_json::{Value, json};

const FEED: &str = "athletics-main";
const OTHER: &str = "other";

impl Server {
    /// The JSON at a path that is there.
    async fn see(&self, path: &str) -> Value {
        let answer = self.admin(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The configuration that runs.
    async fn config(&self) -> String {
        self.see("/api/v1/config").await["text"].as_str().expect("a text").to_owned()
    }

    /// Asks for another configuration.
    async fn put(&self, text: &str) -> Answer {
        self.ask("PUT", "/api/v1/config", Some(&json!({ "text": text }))).await
    }

    /// Asks for the present configuration with `from` replaced by `to`, which must be taken.
    async fn change(&self, from: &str, to: &str) -> Value {
        let text = self.config().await;
        assert!(text.contains(from), "{from} is not in\n{text}");
        let answer = self.put(&text.replacen(from, to, 1)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// That the answer is a refusal as RFC 9457 has it.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    problem
}
