//! What an HTTP request says of who asks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::secret::Secret;

/// The credentials of an `Authorization` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A broadcaster's token alone (RFC 6750).
    Bearer(Secret),
    /// A broadcaster's name and token (RFC 7617); an empty password where the broadcaster has no token.
    Basic {
        /// The broadcaster's name.
        user: String,
        /// Its token.
        password: Secret,
    },
}

impl Credentials {
    /// Those of the field's value; None where it is neither Basic nor Bearer, or malformed.
    pub fn parse(authorization: &str) -> Option<Self> {
        let (scheme, rest) = authorization.trim().split_once(' ')?;
        let rest = rest.trim();
        // RFC 9110 11.1: the scheme's name has no case.
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Some(Self::Bearer(Secret::new(rest)));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64_STANDARD.decode(rest).ok()?).ok()?;
        // RFC 7617 2: the name has no colon, the password may.
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic { user: user.into(), password: Secret::new(password) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_schemes_are_read() {
        assert_eq!(Credentials::parse("Bearer abc.def"), Some(Credentials::Bearer(Secret::new("abc.def"))));
        // RFC 7617 2: the example of "Aladdin", "open sesame".
        assert_eq!(
            Credentials::parse("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            Some(Credentials::Basic { user: "Aladdin".into(), password: Secret::new("open sesame") })
        );
        for malformed in ["", "Bearer", "Bearer ", "Basic !!!", "Basic QWxhZGRpbg==", "Digest a=b"] {
            assert_eq!(Credentials::parse(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn no_field_panics(field in ".{0,80}|(Basic|Bearer) [A-Za-z0-9+/=]{0,40}") {
            let _ = Credentials::parse(&field);
        }
    }
}
