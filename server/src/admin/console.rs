//! The console's files, which are part of the binary.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Sources;
use super::problem::Refused;

struct File {
    path: &'static str,
    bytes: &'static [u8],
    tag: String,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files: &[(&'static str, &'static [u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));
    let file = |(path, bytes): &(&'static str, &'static [u8])| {
        let hash = Sha256::digest(bytes);
        let tag = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        File { path, bytes, tag: format!("\"{tag}\"") }
    };
    files.iter().map(file).collect()
});

/// What is at no other path: a file of the console, or, where the path names a view of it, the console itself.
pub(super) async fn serve(
    State(sources): State<Arc<Sources>>,
    method: Method,
    uri: Uri,
    head: HeaderMap,
) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") {
        return Refused::not_found(format!("there is nothing at {path}; see /api/v1/openapi.json"))
            .into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            [("allow", "GET,HEAD")],
            "The methods here are GET and HEAD.\n",
        )
            .into_response();
    }
    let path = path.trim_start_matches('/');
    let is_view = !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let found = FILES.iter().find(|file| file.path == path);
    let Some(file) = found.or_else(|| FILES.iter().find(|file| is_view && file.path == "index.html")) else {
        return (StatusCode::NOT_FOUND, format!("There is nothing at /{path}. See / for what there is.\n"))
            .into_response();
    };
    // The names of these have a hash of what is in them.
    let lasting = file.path.starts_with("assets/");
    let fields = [
        (ETAG, file.tag.clone()),
        (CACHE_CONTROL, if lasting { "public, max-age=31536000, immutable" } else { "no-cache" }.to_owned()),
        (CONTENT_TYPE, content_type(file.path).to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CONTENT_SECURITY_POLICY, policy(&sources.node.http_base, &head)),
    ];
    let known = head.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.tag)) {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    (fields, Body::from(Bytes::from_static(file.bytes))).into_response()
}

/// Nothing from elsewhere but the media of this node's edge: as a browser on this host sees it, and under the name by
/// which the console was asked for. hls.js makes its worker and its media of blobs.
fn policy(http_base: &str, head: &HeaderMap) -> String {
    let mut edge = http_base.to_owned();
    if let Some(other) = head.get(HOST).and_then(|host| edge_at(http_base, host.to_str().ok()?)) {
        edge = format!("{edge} {other}");
    }
    format!(
        "default-src 'self'; connect-src 'self' {edge}; media-src 'self' blob: {edge}; worker-src 'self' blob:; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// The edge under the host's name that the `Host` field has.
fn edge_at(http_base: &str, host: &str) -> Option<String> {
    let name = host_name(host)?;
    let (scheme, rest) = http_base.split_once("://")?;
    let port = rest.rsplit_once(':')?.1;
    Some(format!("{scheme}://{name}:{port}"))
}

/// The host of a `Host` field, its port left out; None where it is none that could stand in a header.
pub(super) fn host_name(host: &str) -> Option<&str> {
    let name = match host.strip_prefix('[') {
        Some(rest) => &host[..rest.find(']')? + 2],
        None => host.split(':').next()?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    (!name.is_empty() && name.len() <= 255 && name.chars().all(plain)).then_some(name)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_taken_off_its_port_and_nothing_else_gets_into_a_header() {
        assert_eq!(host_name("node.example:8081"), Some("node.example"));
        assert_eq!(host_name("[::1]:8081"), Some("[::1]"));
        assert_eq!(host_name("127.0.0.1"), Some("127.0.0.1"));
        for host in ["", "[::1", "a b", "a;script-src *", "é"] {
            assert_eq!(host_name(host), None, "{host:?}");
        }
        assert_eq!(edge_at("https://127.0.0.1:8080", "node:1"), Some("https://node:8080".into()));
    }
}
