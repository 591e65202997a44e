//! What happened lately.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Refusals;
use crate::admin::Sources;
use crate::admin::problem::{Problem, Query, Refused};
use crate::log::{EVENTS_MAX, Event};

/// Events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Events {
    /// Oldest first.
    events: Vec<Event>,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those after the one of this id; without it, the newest.
    #[param(nullable = false, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// At most so many; without it, 100.
    #[param(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The lines of the log of level info and above, the newest thousand of them.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "list_events", params(Which),
    responses(
        (status = 200, description = "the events", body = Events),
        (status = 400, description = "the query makes no sense", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn list(
    State(sources): State<Arc<Sources>>,
    Query(which): Query<Which>,
) -> Result<Json<Events>, Refused> {
    let limit = which.limit.unwrap_or(100);
    if !(1..=EVENTS_MAX).contains(&limit) {
        let detail = format!("a limit is from 1 to {EVENTS_MAX}");
        return Err(Refused::new(axum::http::StatusCode::BAD_REQUEST, detail));
    }
    if which.after.is_some_and(|after| after > ID_MAX) {
        let detail = format!("an id is at most {ID_MAX}");
        return Err(Refused::new(axum::http::StatusCode::BAD_REQUEST, detail));
    }
    let events = sources.events.after(which.after, limit);
    Ok(Json(Events { events: events.iter().map(|event| Event::clone(event)).collect() }))
}

/// What JavaScript can still count.
const ID_MAX: u64 = (1 << 53) - 1;
