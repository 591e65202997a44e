//! Which web pages may fetch from us (Fetch standard, "CORS protocol").

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// The configured origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cors {
    /// Any page.
    Any,
    /// Pages of these origins; none: no page but our own.
    Only(Vec<HeaderValue>),
}

impl Cors {
    /// Of `cors_origins`; `*` among them allows any.
    pub(super) fn new(origins: &[String]) -> Self {
        if origins.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        Self::Only(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// Adds what a page's browser asks for to a response to a request with the fields of `request`.
    pub(super) fn permit(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let allowed = match self {
            Self::Any => ANY,
            Self::Only(origins) => {
                // A shared cache must not give one origin's answer to another.
                response.append(VARY, HeaderValue::from_static("Origin"));
                match request.get(ORIGIN).filter(|origin| origins.contains(origin)) {
                    Some(origin) => origin.clone(),
                    None => return,
                }
            }
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }

    /// As [`Cors::permit`], for the answer to a preflight.
    pub(super) fn permit_preflight(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.permit(request, response);
        if response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            response.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_FIELDS);
            response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        }
    }
}

/// The methods there are.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";
const ANY: HeaderValue = HeaderValue::from_static("*");
/// Players set their clock by Date and read the rest to know what they got.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Date, Content-Length, Content-Range, ETag, Retry-After, Age");
/// The fields players add, those of CTA-5004 (CMCD) included.
const REQUEST_FIELDS: HeaderValue = HeaderValue::from_static(
    "Authorization, Range, If-Match, If-None-Match, If-Range, Cache-Control, Pragma, \
     CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(cors: &Cors, origin: Option<&str>) -> (Option<String>, bool) {
        let request = origin.map(|origin| (ORIGIN, origin.parse().expect("a value"))).into_iter().collect();
        let mut response = HeaderMap::new();
        cors.permit_preflight(&request, &mut response);
        let allowed = response.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed.is_some(), response.contains_key(ACCESS_CONTROL_ALLOW_METHODS));
        (allowed.map(|value| value.to_str().expect("text").into()), response.contains_key(VARY))
    }

    #[test]
    fn any_origin_is_allowed_without_varying() {
        let cors = Cors::new(&["https://a.example".into(), "*".into()]);
        assert_eq!(permitted(&cors, Some("https://b.example")), (Some("*".into()), false));
        assert_eq!(permitted(&cors, None), (Some("*".into()), false));
    }

    #[test]
    fn a_listed_origin_is_allowed_by_its_name() {
        let cors = Cors::new(&["https://a.example".into()]);
        let a = "https://a.example";
        assert_eq!(permitted(&cors, Some(a)), (Some(a.into()), true));
        assert_eq!(permitted(&cors, Some("https://a.example.evil")), (None, true));
        assert_eq!(permitted(&cors, None), (None, true));
    }
}
