//! The admin API of the real binary, over real HTTP, with real sessions.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod configuration;
mod live;
mod look;
mod stream;

use common::http::Answer;
use serde_json::Value;

const FEED: &str = "athletics-main";
const OTHER: &str = "other";

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
