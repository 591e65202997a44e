//! Who may use the API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flambeau_config::{Credentials, Mode};

use super::Sources;
use super::console::host_name;
use super::problem::Refused;

/// Lets in who brings the token; in lab mode, who is on this machine and came by a name of it.
pub(super) async fn guard(State(sources): State<Arc<Sources>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let api = path.starts_with("/api/");
    if sources.live.current().mode == Mode::Lab {
        // A page on the Internet may have its name point here (DNS rebinding): the browser still says its name.
        if (api || path == "/metrics") && !is_local(&request) {
            let detail =
                "lab mode answers to localhost, 127.0.0.1 and [::1] only: ask for it by one of these names";
            return Refused::new(StatusCode::FORBIDDEN, detail).into_response();
        }
        if api && is_foreign_write(&request) {
            return Refused::new(StatusCode::FORBIDDEN, "another site's page may not do this")
                .into_response();
        }
        return next.run(request).await;
    }
    match if api { denied(&sources, &request) } else { None } {
        None => next.run(request).await,
        Some(why) => {
            let mut response = Refused::new(StatusCode::UNAUTHORIZED, why).into_response();
            // RFC 9110 15.5.2: a 401 says how to ask.
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"flambeau\""));
            response
        }
    }
}

/// Why the API does not answer, if it does not.
fn denied(sources: &Sources, request: &Request) -> Option<&'static str> {
    let Some(token) = sources.live.current().admin.token.clone() else {
        return Some(
            "the configuration has no token for the API: give [admin] a token or token_file, then reload it (SIGHUP)",
        );
    };
    let given =
        request.headers().get(AUTHORIZATION).and_then(|value| Credentials::parse(value.to_str().ok()?));
    match given {
        // Compared in constant time.
        Some(Credentials::Bearer(given)) if given == token => None,
        Some(Credentials::Bearer(_)) => Some("the token is another: that of [admin] is asked for"),
        _ => Some("say who asks: Authorization: Bearer TOKEN, the token of [admin]"),
    }
}

fn is_local(request: &Request) -> bool {
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST).and_then(|host| host.to_str().ok()),
    };
    let name = host.and_then(host_name);
    name.is_some_and(|name| name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]")
}

/// Whether a browser says that another site's page wants to change something (Fetch Metadata).
fn is_foreign_write(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    !reads && site.is_some_and(|site| site == "cross-site" || site == "same-site")
}
