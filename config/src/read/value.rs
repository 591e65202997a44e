//! How each kind of value is written, and what to say when it is not.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use flambeau_media::id::IdError;
use flambeau_media::{BroadcasterId, ChannelId, FeedId};
use ipnet::IpNet;
use toml::de::DeValue;

use crate::glob::Glob;
use crate::json_schema;
use crate::schema::{Holder, KeyLength, LogFormat};
use crate::units::{BitRate, QuantityError, bytes, duration};

/// What a key may be set to.
pub(super) trait Value: Sized {
    /// What it is, with its article: "a duration".
    const WHAT: &str;
    /// One as TOML writes it: `"120ms"`.
    const EXAMPLE: &str;

    fn read(value: &DeValue) -> Result<Self, Fault>;
}

/// A value that has an order, and bounds.
pub(super) trait Quantity: PartialOrd {
    fn render(&self) -> String;
}

/// What is wrong with a value.
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Fault {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }

    fn wrong_type<T: Value>(value: &DeValue) -> Self {
        Self::new(
            format!("expected {}, found {}", T::WHAT, article(value)),
            format!("write it as {}", T::EXAMPLE),
        )
    }

    fn quantity<T: Value>(error: &QuantityError, units: &str) -> Self {
        let remedy = match error {
            QuantityError::NoUnit(number) => format!("add the unit ({units}) to {number}: {}", T::EXAMPLE),
            QuantityError::UnknownUnit(_) => format!("the units are {units}: write it as {}", T::EXAMPLE),
            QuantityError::Order(_) => "write the larger units first, as \"1h30m\"".to_owned(),
            _ => format!("write {} as {}", T::WHAT, T::EXAMPLE),
        };
        Self::new(error.to_string(), remedy)
    }
}

/// The text of a value that is one.
fn text<'a, T: Value>(value: &'a DeValue) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| Fault::wrong_type::<T>(value))
}

/// The text of a quantity; a bare number lacks its unit.
fn quantity_text<T: Value>(value: &DeValue, units: &str) -> Result<String, Fault> {
    match value {
        DeValue::Integer(number) => {
            Err(Fault::quantity::<T>(&QuantityError::NoUnit(number.to_string()), units))
        }
        DeValue::Float(number) => {
            Err(Fault::quantity::<T>(&QuantityError::NoUnit(number.to_string()), units))
        }
        _ => text::<T>(value).map(str::to_owned),
    }
}

fn integer<T: Value>(value: &DeValue) -> Result<u64, Fault> {
    let DeValue::Integer(number) = value else { return Err(Fault::wrong_type::<T>(value)) };
    let digits = number.as_str();
    u64::from_str_radix(digits.strip_prefix('+').unwrap_or(digits), number.radix()).map_err(|_| {
        let remedy = format!("choose a number from 0 to {}", u32::MAX);
        Fault::new(format!("{number} is out of bounds"), remedy)
    })
}

macro_rules! value {
    ($type:ty, $what:literal, $example:literal, |$value:ident| $read:expr) => {
        impl Value for $type {
            const WHAT: &str = $what;
            const EXAMPLE: &str = $example;
            fn read($value: &DeValue) -> Result<Self, Fault> {
                $read
            }
        }
    };
}

/// A size in bytes.
#[derive(PartialEq, PartialOrd)]
pub(super) struct Bytes(pub(super) u64);
/// What people call something.
pub(super) struct Label(pub(super) String);
/// A user of a Stream ID.
pub(super) struct User(pub(super) String);
/// An origin of a web page, or `*`.
pub(super) struct Origin(pub(super) String);
/// What is logged.
pub(super) struct Level(pub(super) String);
/// A passphrase or token; it does not get into a message.
pub(super) struct SecretText(pub(super) String);

value!(bool, "true or false", "true", |value| value
    .as_bool()
    .ok_or_else(|| Fault::wrong_type::<Self>(value)));
value!(usize, "a whole number", "1000", |value| integer::<Self>(value)
    .map(|number| usize::try_from(number).unwrap_or(usize::MAX)));
value!(u32, "a whole number", "25", |value| integer::<Self>(value)
    .map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
value!(String, "a text in quotes", "\"text\"", |value| text::<Self>(value).map(str::to_owned));
value!(SecretText, "a text in quotes", "\"a long secret\"", |value| text::<Self>(value)
    .map(|text| Self(text.to_owned())));

value!(Duration, "a duration", "\"200ms\"", |value| {
    let text = quantity_text::<Self>(value, DURATION_UNITS)?;
    duration::parse(&text).map_err(|error| Fault::quantity::<Self>(&error, DURATION_UNITS))
});
value!(Bytes, "a size", "\"64MiB\"", |value| {
    let text = quantity_text::<Self>(value, BYTES_UNITS)?;
    bytes::parse(&text).map(Self).map_err(|error| Fault::quantity::<Self>(&error, BYTES_UNITS))
});
value!(BitRate, "a bit rate", "\"20Mb/s\"", |value| {
    let text = quantity_text::<Self>(value, RATE_UNITS)?;
    text.parse().map_err(|error| Fault::quantity::<Self>(&error, RATE_UNITS))
});

value!(KeyLength, "16, 24 or 32", "16", |value| {
    let number = integer::<Self>(value)?;
    let length = usize::try_from(number).ok().and_then(Self::from_bytes);
    length.ok_or_else(|| {
        let remedy = "write 16 (AES-128), 24 (AES-192) or 32 (AES-256)";
        Fault::new(format!("an AES key has 16, 24 or 32 bytes, not {number}"), remedy)
    })
});
value!(LogFormat, "\"human\" or \"json\"", "\"human\"", |value| match text::<Self>(value)? {
    "human" => Ok(Self::Human),
    "json" => Ok(Self::Json),
    other => Err(Fault::new(format!("there is no format {other:?}"), "write \"human\" or \"json\"")),
});
value!(Level, "a log level", "\"info\"", |value| {
    let text = text::<Self>(value)?;
    let level_of = |directive: &str| directive.rsplit('=').next().unwrap_or("").trim().to_ascii_lowercase();
    let wrong = text.split(',').find(|directive| !LEVELS.contains(&level_of(directive).as_str()));
    match wrong {
        None => Ok(Self(text.to_owned())),
        Some(directive) => Err(Fault::new(
            format!("there is no level {:?}", directive.trim()),
            format!("write one of {}, or one per module: \"info,flambeau_srt=debug\"", LEVELS.join(", ")),
        )),
    }
});
value!(SocketAddr, "an address and port", "\"0.0.0.0:9000\"", |value| {
    let text = text::<Self>(value)?;
    text.parse().map_err(|_| address_fault(text))
});
value!(IpNet, "a network", "\"192.0.2.0/24\"", |value| {
    let text = text::<Self>(value)?;
    let address = || text.parse::<IpAddr>().map(Self::from);
    text.parse::<Self>().map(|network| network.trunc()).or_else(|_| address()).map_err(|_| {
        let remedy = "write \"192.0.2.0/24\", \"2001:db8::/32\" or one address";
        Fault::new(format!("{text:?} is neither a network nor an address"), remedy)
    })
});
value!(FeedId, "an id", "\"athletics-main\"", |value| id::<Self>(value));
value!(ChannelId, "an id", "\"athletics\"", |value| id::<Self>(value));
value!(BroadcasterId, "an id", "\"rtx\"", |value| id::<Self>(value));
value!(Holder, "an id or \"*\"", "\"rtx\"", |value| match value.as_str() {
    Some("*") => Ok(Self::Any),
    _ => id(value).map(Self::One),
});
value!(Glob, "a name or pattern", "\"athletics-*\"", |value| {
    let text = text::<Self>(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*' | '?');
    if text.is_empty() || text.len() > flambeau_media::id::ID_BYTES_MAX || !text.chars().all(fits) {
        let remedy = "write the letters of an id, * for any run of characters, ? for one: \"athletics-*\"";
        return Err(Fault::new(format!("{text:?} can be the pattern of no id"), remedy));
    }
    Ok(Self::new(text))
});
value!(Label, "a text in quotes", "\"Athletics, main feed\"", |value| {
    plain::<Self>(value, 256).map(Self)
});
value!(User, "a user's name", "\"venue-7\"", |value| plain::<Self>(value, 512).map(Self));
value!(Origin, "an origin", "\"https://player.example\"", |value| {
    let text = text::<Self>(value)?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or("");
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | ',');
    if text == "*" || (!host.is_empty() && host.chars().all(fits)) {
        return Ok(Self(text.to_owned()));
    }
    let remedy = "write scheme and host without a path, as \"https://player.example\", or \"*\" for any";
    Err(Fault::new(format!("{text:?} is not an origin"), remedy))
});

impl Quantity for Duration {
    fn render(&self) -> String {
        duration::render(*self)
    }
}

impl Quantity for Bytes {
    fn render(&self) -> String {
        bytes::render(self.0)
    }
}

macro_rules! quantity_by_display {
    ($($type:ty)*) => {
        $(impl Quantity for $type {
            fn render(&self) -> String {
                self.to_string()
            }
        })*
    };
}
quantity_by_display!(usize u32 BitRate);

fn id<T: Value + FromStr<Err = IdError>>(value: &DeValue) -> Result<T, Fault> {
    text::<T>(value)?.parse().map_err(|error: IdError| {
        Fault::new(error.to_string(), format!("choose an id such as {}", T::EXAMPLE))
    })
}

/// A text of one line for people to read.
fn plain<T: Value>(value: &DeValue, bytes_max: usize) -> Result<String, Fault> {
    let text = text::<T>(value)?;
    if text.is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        let message = format!("expected 1 to {bytes_max} bytes without control characters");
        return Err(Fault::new(message, format!("write it as {}", T::EXAMPLE)));
    }
    Ok(text.to_owned())
}

fn address_fault(text: &str) -> Fault {
    let message = format!("{text:?} is not an address and port");
    let remedy = if let Ok(address) = text.parse::<IpAddr>() {
        format!("add the port: \"{}\"", SocketAddr::new(address, 9000))
    } else if let Ok(port) = text.trim_start_matches(['*', ':']).parse::<u16>() {
        format!(
            "add the address: \"0.0.0.0:{port}\" for each of this machine's, \"127.0.0.1:{port}\" for it alone"
        )
    } else {
        "write a numeric address and a port up to 65535: \"0.0.0.0:9000\", \"[::]:9000\"".to_owned()
    };
    Fault::new(message, remedy)
}

/// What a TOML value is, with its article.
pub(super) fn article(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// What to do about a key that is none of `known` in the section `kind`.
pub(super) fn mistaken(key: &str, known: &[String], kind: &str) -> String {
    if let Some(near) = nearest(key, known.iter().map(String::as_str)) {
        return format!("did you mean {near}?");
    }
    let elsewhere = elsewhere(key);
    if !elsewhere.is_empty() {
        return format!("{key} is known elsewhere: write it as {}", elsewhere.join(" or "));
    }
    let place = if kind.is_empty() { "the file" } else { kind };
    format!("remove it; the keys of {place} are {}", known.join(", "))
}

/// Where in the file `key` has a meaning: `[edge.srt]`, `listen in [admin]`.
fn elsewhere(key: &str) -> Vec<String> {
    let place = |found: json_schema::Key| {
        let header = |path: &str, listed| if listed { format!("[[{path}]]") } else { format!("[{path}]") };
        match found.path.rsplit_once('.') {
            _ if found.is_section() => header(&found.path, found.is_list()),
            Some((section, name)) => format!("{name} in {}", header(section, found.listed)),
            None => found.path,
        }
    };
    let named = |found: &json_schema::Key| found.path.rsplit('.').next() == Some(key);
    json_schema::keys().into_iter().filter(named).map(place).collect()
}

/// The one of `names` that `name` most likely is a slip of.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong, so that "feed" is near "feeds" and "a" is near nothing.
    let scored = names.map(|other| (strsim::damerau_levenshtein(name, other), other));
    scored.filter(|(slips, other)| slips * 3 <= other.len().max(name.len())).min().map(|(_, other)| other)
}

/// A list for people: `a, b, c`, cut where it gets long.
pub(super) fn listed<T: Display>(names: impl Iterator<Item = T>) -> String {
    let names: Vec<String> = names.take(9).map(|name| name.to_string()).collect();
    match names.len() {
        0 => "none".to_owned(),
        9 => format!("{} and more", names[..8].join(", ")),
        _ => names.join(", "),
    }
}

const DURATION_UNITS: &str = "d, h, m, s, ms, us";
const BYTES_UNITS: &str = "B, kB, MB, GB, KiB, MiB, GiB";
const RATE_UNITS: &str = "b/s, kb/s, Mb/s, Gb/s; b is a bit";
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
