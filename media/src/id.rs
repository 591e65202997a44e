//! Names an operator gives: of a Feed, a Channel, a Broadcaster.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest id, in bytes. It bounds log lines, metric labels and URL paths.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("an id cannot be empty")]
    Empty,
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("an id has at most {ID_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 . _ -`, or a first one that is not a letter or digit.
    #[error(
        "an id has letters, digits, '.', '_' and '-' and starts with a letter or digit: {0:?} does not fit"
    )]
    BadCharacter(char),
}

fn validate(text: &str) -> Result<(), IdError> {
    let first = text.chars().next().ok_or(IdError::Empty)?;
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(IdError::BadCharacter(first));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(c) => Err(IdError::BadCharacter(c)),
        None => Ok(()),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                validate(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// One contribution of one programme: what a venue publishes.
    FeedId
);
id!(
    /// A packaged service made of a Feed.
    ChannelId
);
id!(
    /// A rights holder that takes Feeds and Channels.
    BroadcasterId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_takes_names_that_are_safe_in_a_url_and_a_log() {
        assert_eq!(
            "athletics-main.1_b".parse::<FeedId>().map(|id| id.to_string()),
            Ok("athletics-main.1_b".into())
        );
        assert_eq!("".parse::<FeedId>(), Err(IdError::Empty));
        assert_eq!("..".parse::<FeedId>(), Err(IdError::BadCharacter('.')));
        assert_eq!("a/b".parse::<FeedId>(), Err(IdError::BadCharacter('/')));
        assert_eq!("a".repeat(65).parse::<FeedId>(), Err(IdError::TooLong(65)));
    }
}
