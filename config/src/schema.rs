//! The configuration file as Rust: each section, each key, its meaning, unit and default.
//!
//! The doc of a field is what `flambeau schema` and `docs/configuration.md` say of the key.

mod rights;
mod sections;

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::Problem;

pub use rights::{Broadcaster, ChannelConfig, Entitlement, FeedConfig, Holder};
pub use sections::{
    Admin, Drain, Edge, EdgeHttp, EdgeSrt, Ingest, IngestSrt, KeyLength, Log, LogFormat, Packager, State,
};

/// The configuration of a Flambeau node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[schemars(title = "Flambeau", default, deny_unknown_fields)]
pub struct Config {
    /// Whether a file was given. Not a key of the file.
    #[serde(skip)]
    pub mode: Mode,
    /// What looks wrong in the file without keeping it from running. Not a key of the file.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
    /// Where venues bring their Feeds.
    pub ingest: Ingest,
    /// Where broadcasters and players take them.
    pub edge: Edge,
    /// How a Feed is cut into Parts and Segments; a Channel may differ.
    pub packager: Packager,
    /// The operator's own door: the console, the API, metrics and health.
    pub admin: Admin,
    /// What the node remembers.
    pub state: State,
    /// What is logged, and how.
    pub log: Log,
    /// How the process ends.
    pub drain: Drain,
    /// The Feeds that may be published, one `[[feeds]]` each. A Feed that is not here is rejected.
    pub feeds: Vec<FeedConfig>,
    /// The services packaged for players, one `[[channels]]` each.
    pub channels: Vec<ChannelConfig>,
    /// The rights holders, one `[[broadcasters]]` each.
    pub broadcasters: Vec<Broadcaster>,
    /// Who may take what, one `[[entitlements]]` each. What none of them grants is denied.
    pub entitlements: Vec<Entitlement>,
}

/// Whether the operator gave a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// No file: loopback only, any Feed id is accepted, each Feed is a Channel of the same id, nobody is asked
    /// for an Entitlement.
    Lab,
    /// A file: what it does not grant is denied.
    #[default]
    Configured,
}

impl Config {
    /// Lab mode: what runs when no file is given. Every listen address is on 127.0.0.1.
    pub fn lab() -> Self {
        let mut config = Self { mode: Mode::Lab, ..Self::default() };
        let listens = [
            &mut config.ingest.srt.listen,
            &mut config.edge.srt.listen,
            &mut config.edge.http.listen,
            &mut config.admin.listen,
        ];
        for listen in listens {
            *listen = SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()));
        }
        config
    }
}

impl Config {
    /// Reads the file. Each problem of it is reported, not only the first; those that do not keep it from
    /// running are [`Config::warnings`].
    pub fn load(path: &std::path::Path) -> Result<Self, Vec<Problem>> {
        crate::read::load(path)
    }

    /// The text of the file at `path`, for [`Config::parse`].
    pub fn text(path: &std::path::Path) -> Result<String, Problem> {
        crate::read::text(path)
    }

    /// As [`Config::load`], of a text that is (or is to be) in the file at `path`, to which the files of its secrets
    /// are relative.
    pub fn parse(text: &str, path: &std::path::Path) -> Result<Self, Vec<Problem>> {
        crate::read::parse(text, path)
    }
}
