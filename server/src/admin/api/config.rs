//! The configuration and its revisions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};

use super::Refusals;
use crate::admin::Sources;
use crate::admin::problem::{Body, Path, Problem, Query, Refused};
use crate::configure::{Check, Fault, Meta, Proposal, Refusal, on_disk};

/// The configuration that runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(super) struct Running {
    /// Its revision; null where none is kept.
    revision: Option<u64>,
    /// Its text, secrets and all.
    text: String,
    /// Its file; null in lab mode.
    path: Option<String>,
    /// It can be replaced here.
    writable: bool,
    /// The text is TOML.
    format: &'static str,
}

/// A text to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Draft {
    /// A configuration, as TOML.
    text: String,
}

/// A configuration to be run.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Replacement {
    /// A configuration, as TOML.
    text: String,
    /// What it is for; kept with the revision.
    #[serde(default)]
    #[schema(max_length = 500)]
    comment: String,
    /// What is live may go off the air, and an edit of the file that nobody has read be overwritten.
    #[serde(default)]
    force: bool,
}

/// How a revision is to be restored.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Restoring {
    /// What is live may go off the air, and an edit of the file that nobody has read be overwritten.
    #[serde(default)]
    force: bool,
}

/// What was applied.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Applied {
    /// The revision that runs now; null where none is kept.
    revision: Option<u64>,
    #[serde(flatten)]
    check: Check,
}

/// The revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revisions {
    /// Newest first.
    revisions: Vec<Revision>,
}

/// A revision of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revision {
    revision: u64,
    /// When it came to be; null where it is broken.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// What it is for; null where it is broken.
    comment: Option<String>,
    /// Which way it came: `api` or `file`; null where it is broken.
    by: Option<String>,
    /// It is the one that runs.
    current: bool,
    /// Why it cannot be read, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    broken: Option<String>,
}

/// A revision and its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionText {
    #[serde(flatten)]
    revision: Revision,
    /// Its text, secrets and all.
    text: String,
}

/// What differs between two revisions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Difference {
    /// A unified diff; empty where they are the same.
    diff: String,
}

/// What to compare with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Compared {
    /// The other revision; without it, the one that runs.
    #[param(nullable = false)]
    with: Option<u64>,
}

/// The configuration that runs. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/api/v1/config", tag = "config", operation_id = "show_config",
    responses((status = 200, description = "the configuration", body = Running), Refusals))]
pub(super) async fn read(State(sources): State<Arc<Sources>>) -> Response {
    let running = on_disk(&sources.configuration, |configuration| {
        let (revision, text) = configuration.current();
        let path = configuration.path().map(|path| path.display().to_string());
        Running { revision, text, path, writable: configuration.obstacle().is_none(), format: "toml" }
    });
    let running = running.await;
    let tag = format!("\"{}\"", running.revision.unwrap_or(0));
    ([(ETAG, tag)], Json(running)).into_response()
}

/// What a configuration would come to, without running it.
#[utoipa::path(post, path = "/api/v1/config/check", tag = "config", operation_id = "check_config", request_body = Draft,
    responses(
        (status = 200, description = "what is wrong with it, and what it would change", body = Check),
        (status = 400, description = "the request is not as it should be", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn check(State(sources): State<Arc<Sources>>, Body(draft): Body<Draft>) -> Json<Check> {
    Json(on_disk(&sources.configuration, move |configuration| configuration.check(&draft.text)).await)
}

/// Replaces the configuration and its file.
#[utoipa::path(put, path = "/api/v1/config", tag = "config", operation_id = "replace_config", request_body = Replacement,
    params(("If-Match" = Option<String>, Header, description = "the ETag of the configuration this one was made from")),
    responses(
        (status = 200, description = "it runs", body = Applied),
        (status = 400, description = "the request is not as it should be", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it would take off the air what is live, or the file cannot be written", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "another one runs than it was made from", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "it is wrong", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn replace(
    State(sources): State<Arc<Sources>>,
    head: HeaderMap,
    Body(replacement): Body<Replacement>,
) -> Result<Response, Refused> {
    let made_from = made_from(&head)?;
    let Replacement { text, comment, force } = replacement;
    let proposal = Proposal { text, comment, force, made_from };
    let replaced = on_disk(&sources.configuration, move |configuration| configuration.replace(proposal, BY));
    let (revision, check) = replaced.await?;
    Ok(applied(Some(revision), check))
}

/// Reads the file again, as SIGHUP does.
#[utoipa::path(post, path = "/api/v1/config/reload", tag = "config", operation_id = "reload_config",
    responses(
        (status = 200, description = "it runs", body = Applied),
        (status = 409, description = "there is no file", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "it is wrong", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn reload(State(sources): State<Arc<Sources>>) -> Result<Response, Refused> {
    let (revision, check) = on_disk(&sources.configuration, |configuration| configuration.reload(BY)).await?;
    Ok(applied(revision, check))
}

/// The revisions there are.
#[utoipa::path(get, path = "/api/v1/config/revisions", tag = "config", operation_id = "list_revisions",
    responses((status = 200, description = "the revisions", body = Revisions), Refusals))]
pub(super) async fn revisions(State(sources): State<Arc<Sources>>) -> Json<Revisions> {
    let known = on_disk(&sources.configuration, |configuration| {
        (configuration.revision(), configuration.revisions())
    });
    let (current, known) = known.await;
    let view = |(number, meta)| Revision::new(number, meta, current);
    Json(Revisions { revisions: known.into_iter().map(view).collect() })
}

/// A revision and its text.
#[utoipa::path(get, path = "/api/v1/config/revisions/{revision}", tag = "config", operation_id = "show_revision",
    params(("revision" = u64, Path, description = "its number")),
    responses(
        (status = 200, description = "the revision", body = RevisionText),
        (status = 400, description = "that is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "there is none of that number", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it is broken", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn revision(
    State(sources): State<Arc<Sources>>,
    Path(number): Path<u64>,
) -> Result<Json<RevisionText>, Refused> {
    let found = on_disk(&sources.configuration, move |configuration| {
        configuration.find(number).map(|found| (configuration.revision(), found))
    });
    let (current, (meta, text)) = found.await?;
    Ok(Json(RevisionText { revision: Revision::new(number, Ok(meta), current), text }))
}

/// What differs between two revisions.
#[utoipa::path(get, path = "/api/v1/config/revisions/{revision}/diff", tag = "config", operation_id = "compare_revisions",
    params(("revision" = u64, Path, description = "the newer one"), Compared),
    responses(
        (status = 200, description = "from the other one to this one", body = Difference),
        (status = 400, description = "that is no number", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "there is none of that number", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "one of them is broken", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn diff(
    State(sources): State<Arc<Sources>>,
    Path(number): Path<u64>,
    Query(compared): Query<Compared>,
) -> Result<Json<Difference>, Refused> {
    let diff = on_disk(&sources.configuration, move |configuration| -> Result<String, Refusal> {
        let (_, text) = configuration.find(number)?;
        let (from, other) = match compared.with {
            Some(with) => (format!("revision {with}"), configuration.find(with)?.1),
            None => ("the one that runs".to_owned(), configuration.current().1),
        };
        let diff = TextDiff::from_lines(&other, &text);
        Ok(diff.unified_diff().header(&from, &format!("revision {number}")).to_string())
    });
    Ok(Json(Difference { diff: diff.await? }))
}

/// Runs a revision again, as a new one.
#[utoipa::path(post, path = "/api/v1/config/revisions/{revision}/restore", tag = "config", operation_id = "restore_revision", request_body = Restoring,
    params(("revision" = u64, Path, description = "its number")),
    responses(
        (status = 200, description = "it runs", body = Applied),
        (status = 400, description = "the request is not as it should be", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "there is none of that number", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "it would take off the air what is live, it is broken, or the file cannot be written", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "it is wrong", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn restore(
    State(sources): State<Arc<Sources>>,
    Path(number): Path<u64>,
    Body(restoring): Body<Restoring>,
) -> Result<Response, Refused> {
    let restored = on_disk(&sources.configuration, move |configuration| {
        configuration.restore(number, restoring.force, BY)
    });
    let (revision, check) = restored.await?;
    Ok(applied(Some(revision), check))
}

fn applied(revision: Option<u64>, check: Check) -> Response {
    let tag = format!("\"{}\"", revision.unwrap_or(0));
    ([(ETAG, tag)], Json(Applied { revision, check })).into_response()
}

/// The revision that `If-Match` names; none where it is not given, or any will do.
fn made_from(head: &HeaderMap) -> Result<Option<u64>, Refused> {
    let Some(tag) = head.get(IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let number = tag.trim_matches('"').parse().map_err(|_| {
        // RFC 9110 13.1.1: what matches nothing fails.
        Refused::new(StatusCode::PRECONDITION_FAILED, "If-Match is no ETag of this configuration")
    })?;
    Ok(Some(number))
}

impl Revision {
    fn new(number: u64, meta: Result<Meta, String>, current: Option<u64>) -> Self {
        let (meta, broken) = match meta {
            Ok(meta) => (Some(meta), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            revision: number,
            at: meta.as_ref().map(|meta| meta.at.clone()),
            comment: meta.as_ref().map(|meta| meta.comment.clone()),
            by: meta.map(|meta| meta.by),
            current: current == Some(number),
            broken,
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Refusal::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::NoRevision(_) => StatusCode::NOT_FOUND,
            Refusal::Lab
            | Refusal::NotWritable { .. }
            | Refusal::EditedByHand
            | Refusal::TakesOffAir(_)
            | Refusal::Broken(..) => StatusCode::CONFLICT,
        };
        let refused = Self::new(status, refusal.to_string());
        match refusal {
            Refusal::Wrong(problems) => refused.with_problems(problems.iter().map(Fault::from).collect()),
            Refusal::TakesOffAir(drops) => refused.with_drops(drops),
            _ => refused,
        }
    }
}

/// Who asks here: the one who has the token.
const BY: &str = "api";
