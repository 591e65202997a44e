//! `/api/v1`: what is on air, who is there, and the configuration, for the console and for programs.
//!
//! It is described by its own code: `/api/v1/openapi.json`.

mod channels;
mod config;
mod events;
mod feeds;
mod node;
mod sessions;
mod statistics;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Sources;
use super::problem::Problem;
use crate::log::Event;
pub(crate) use node::{Facts, Port, http_base};
pub(super) use stream::Broadcast;

/// The newest warning or error about something.
#[derive(Debug, Serialize, ToSchema)]
struct LastError {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The sentence.
    text: String,
}

impl From<&Event> for LastError {
    fn from(event: &Event) -> Self {
        Self { at: event.at.clone(), text: event.text.clone() }
    }
}

/// What any request may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes")]
enum Refusals {
    /// The token is missing or another.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// In lab mode: it does not come from this machine.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Problem),
    /// The body is not said to be JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
}

/// The whole of it.
#[derive(OpenApi)]
#[openapi(
    info(title = "Flambeau", description = "The admin API of a Flambeau node.", license(name = "MIT OR Apache-2.0")),
    components(schemas(stream::Snapshot, Event, Problem)),
    security(("token" = [])),
    modifiers(&Token),
    tags(
        (name = "node", description = "The node itself."),
        (name = "feeds", description = "Contributions, as venues publish them."),
        (name = "channels", description = "Services, as players watch them."),
        (name = "sessions", description = "Who publishes, pulls and watches."),
        (name = "events", description = "What happened, and what happens."),
        (name = "config", description = "The configuration and its revisions.")))]
struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The routes, their description among them.
pub(super) fn router() -> Router<Arc<Sources>> {
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(node::node))
        .routes(routes!(feeds::list))
        .routes(routes!(feeds::one))
        .routes(routes!(feeds::history))
        .routes(routes!(channels::list))
        .routes(routes!(channels::one))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(statistics::of_session))
        .routes(routes!(events::list))
        .routes(routes!(stream::stream))
        .routes(routes!(config::read, config::replace))
        .routes(routes!(config::check))
        .routes(routes!(config::reload))
        .routes(routes!(config::revisions))
        .routes(routes!(config::revision))
        .routes(routes!(config::diff))
        .routes(routes!(config::restore))
        .split_for_parts();
    // Its types all have JSON.
    let description = Bytes::from(description.to_json().unwrap_or_default());
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    router
        .route("/api/v1/openapi.json", get(async move || (json, description)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// A configuration of 10,000 Feeds takes 1 MB.
const BODY_BYTES_MAX: usize = 4 << 20;
