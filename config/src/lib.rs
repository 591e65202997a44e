//! What an operator writes: the schema of the TOML file, its units, its validation with line and remedy, and
//! the policy that answers who may publish, pull and watch.
//!
//! [`Config::load`] reads a file and reports every problem of it at once, each as a [`Problem`];
//! [`Config::lab`] is what runs without a file. [`Policy`] is made of a [`Config`] and only looks up. [`Live`] is the
//! configuration of the moment, which an operator changes while it runs.

pub mod certificate;
pub mod change;
pub mod glob;
pub mod json_schema;
pub mod live;
pub mod policy;
pub mod problem;
mod read;
pub mod schema;
pub mod secret;
pub mod units;

pub use certificate::Certificate;
pub use glob::Glob;
pub use ipnet::IpNet;
pub use live::Live;
pub use policy::{Credentials, Denied, FeedPolicy, Policy, Pull};
pub use problem::{Problem, Severity};
pub use schema::{
    Admin, Broadcaster, ChannelConfig, Config, Drain, Edge, EdgeHttp, EdgeSrt, Entitlement, FeedConfig,
    Holder, Ingest, IngestSrt, KeyLength, Log, LogFormat, Mode, Packager, State,
};
pub use secret::Secret;
pub use units::BitRate;
