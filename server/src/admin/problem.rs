//! Errors as `application/problem+json` (RFC 9457), those of axum's own extractors too.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::configure::{Drop, Fault};

/// Why a request is refused (RFC 9457).
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of refusal it is: the status in words.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    /// What is wrong with the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problems: Option<Vec<Fault>>,
    /// What is live and would end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    drops: Option<Vec<Drop>>,
}

/// A refusal on its way.
#[derive(Debug)]
pub(super) struct Refused(Box<Problem>);

impl Refused {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let problem = Problem { title, status: status.as_u16(), detail: detail.into(), ..Problem::default() };
        Self(Box::new(problem))
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn with_problems(mut self, problems: Vec<Fault>) -> Self {
        self.0.problems = Some(problems);
        self
    }

    pub(super) fn with_drops(mut self, drops: Vec<Drop>) -> Self {
        self.0.drops = Some(drops);
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.0)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

macro_rules! refuse {
    ($($rejection:ty),*) => {
        $(impl From<$rejection> for Refused {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        })*
    };
}

refuse!(PathRejection, QueryRejection);

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        // What cannot be read as it should be is a bad request; 422 is for a configuration that is wrong.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self::new(status, rejection.body_text())
    }
}

/// A body of JSON: an object, as each of the schema's is.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        // A struct would be read from an array as well.
        let axum::Json(members) =
            axum::Json::<serde_json::Map<String, serde_json::Value>>::from_request(request, state).await?;
        let body = serde_json::from_value(serde_json::Value::Object(members));
        body.map(Self).map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))
    }
}

/// What stands in the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Refused))]
pub(super) struct Path<T>(pub(super) T);

/// What stands behind the question mark.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Refused))]
pub(super) struct Query<T>(pub(super) T);
