//! The sections that say how the node runs: `[ingest.srt]` to `[drain]`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;

use crate::secret::Secret;
use crate::units::{BitRate, bytes, duration, text};

/// `[ingest]`: one section per contribution protocol.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Ingest {
    /// SRT from the venues.
    pub srt: IngestSrt,
}

/// `[ingest.srt]`: the port venues publish to over SRT.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct IngestSrt {
    /// UDP address and port venues call.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Address")]
    pub listen: SocketAddr,
    /// Least receive latency: how long a lost packet may still be sent again. The longer of this and the
    /// venue's own wish holds. Four times the round trip is a good value.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["20ms", "30s"]))]
    pub latency: Duration,
    /// Passphrase of every Feed that has none of its own. Without either a venue publishes in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::secret::Passphrase>")]
    pub passphrase: Option<Secret>,
    /// Length of the AES key in bytes, where this side chooses it: as a caller. A venue that calls chooses its own.
    #[serde(serialize_with = "KeyLength::serialize_bytes")]
    pub key_length: KeyLength,
    /// Most Sessions of venues at a time; a further one is rejected.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions_max: usize,
    /// Most Sessions of one address (of IPv6: of one /64) at a time; a further one is rejected.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions_per_address_max: usize,
    /// Most handshakes of one address in a second, on average over ten; a further one is rejected. It holds off a caller
    /// that tries passphrases, or calls again and again. Addresses are proven before they count.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes_per_second_max: u32,
    /// Networks that may call; empty: any.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Network>")]
    pub sources: Vec<IpNet>,
    /// Networks that may not call, whatever `sources` says.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Network>")]
    pub banned: Vec<IpNet>,
    /// Most transport stream that one venue sends; one that sends more for five seconds is ended. Without it: any rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-range" = ["100kb/s", "100Gb/s"]))]
    pub bandwidth_max: Option<BitRate>,
    /// Silence after which a venue's Session is dead.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["1s", "5m"]))]
    pub idle_timeout: Duration,
    /// How long a Feed and its readers wait for a venue that went away.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["0s", "1h"]))]
    pub reconnect_grace: Duration,
}

impl Default for IngestSrt {
    fn default() -> Self {
        Self {
            listen: any(9000),
            latency: Duration::from_millis(120),
            passphrase: None,
            key_length: KeyLength::default(),
            sessions_max: 1000,
            sessions_per_address_max: 1000,
            handshakes_per_second_max: 100,
            sources: Vec::new(),
            banned: Vec::new(),
            bandwidth_max: None,
            idle_timeout: Duration::from_secs(5),
            reconnect_grace: Duration::from_secs(10),
        }
    }
}

/// The length of an AES key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyLength {
    /// AES-128.
    #[default]
    Aes128,
    /// AES-192.
    Aes192,
    /// AES-256.
    Aes256,
}

impl KeyLength {
    /// The length in bytes: 16, 24 or 32.
    pub fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// The key length of that many bytes.
    pub fn from_bytes(bytes: usize) -> Option<Self> {
        [Self::Aes128, Self::Aes192, Self::Aes256].into_iter().find(|length| length.bytes() == bytes)
    }

    fn serialize_bytes<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.bytes() as u64)
    }
}

impl JsonSchema for KeyLength {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KeyLength".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "enum": [16, 24, 32] })
    }
}

/// `[edge]`: one section per delivery protocol.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Edge {
    /// SRT to the broadcasters.
    pub srt: EdgeSrt,
    /// HLS and DASH to the players.
    pub http: EdgeHttp,
}

/// `[edge.srt]`: the port broadcasters pull from over SRT.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct EdgeSrt {
    /// UDP address and port broadcasters call.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Address")]
    pub listen: SocketAddr,
    /// Least latency: how long a lost packet may still be sent again. The longer of this and the
    /// broadcaster's own wish holds. Four times the round trip is a good value.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["20ms", "30s"]))]
    pub latency: Duration,
    /// How long a pull of a Feed that is not there yet is kept waiting before it is rejected; `0s` rejects at once.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["0s", "1h"]))]
    pub wait_for_feed: Duration,
    /// Most that one Session sends, retransmission and headers included. Without it: what keeps bursts harmless, 300 Mb/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-range" = ["100kb/s", "100Gb/s"]))]
    pub bandwidth_max: Option<BitRate>,
    /// Most that all Sessions together are to send. A pull that would come on top, by the rates of the Feeds, is rejected; a
    /// Feed that is not live counts as nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-range" = ["1Mb/s", "1000Gb/s"]))]
    pub bandwidth_total_max: Option<BitRate>,
    /// Most Sessions of broadcasters at a time; a further one is rejected.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions_max: usize,
    /// Most Sessions of one address (of IPv6: of one /64) at a time; a further one is rejected.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions_per_address_max: usize,
    /// Most handshakes of one address in a second, on average over ten; a further one is rejected. It holds off a caller
    /// that tries passphrases, or calls again and again. Addresses are proven before they count.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handshakes_per_second_max: u32,
    /// Networks that may call; empty: any.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Network>")]
    pub sources: Vec<IpNet>,
    /// Networks that may not call, whatever `sources` says.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Network>")]
    pub banned: Vec<IpNet>,
    /// Silence after which a broadcaster's Session is dead.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["1s", "5m"]))]
    pub idle_timeout: Duration,
}

impl Default for EdgeSrt {
    fn default() -> Self {
        Self {
            listen: any(9001),
            latency: Duration::from_millis(120),
            wait_for_feed: Duration::from_secs(30),
            bandwidth_max: None,
            bandwidth_total_max: None,
            sessions_max: 2000,
            sessions_per_address_max: 2000,
            handshakes_per_second_max: 100,
            sources: Vec::new(),
            banned: Vec::new(),
            idle_timeout: Duration::from_secs(5),
        }
    }
}

/// `[edge.http]`: the port players fetch HLS and DASH from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct EdgeHttp {
    /// TCP address and port players connect to.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Address")]
    pub listen: SocketAddr,
    /// PEM file of the certificate and those that vouch for it, relative to the configuration's. With it the port
    /// speaks TLS 1.3 and nothing else; the files are read again when they change. Needs `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Most connections at a time; a further one is closed. Over HTTP/2 as many requests too.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub connections_max: usize,
    /// Most connections of one address (of IPv6: of one /64) at a time. Over HTTP/2 as many requests too.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub connections_per_address_max: usize,
    /// Most requests of one address in a second, on average; a further one gets 429. A CDN's node counts as one
    /// address, and so do all players behind one router.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub requests_per_second_max: u32,
    /// Longest request head.
    #[serde(serialize_with = "bytes::serialize")]
    #[schemars(with = "bytes::Text", extend("x-range" = ["8KiB", "1MiB"]))]
    pub header_bytes_max: usize,
    /// Longest time a client may take over its request head.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["100ms", "5m"]))]
    pub header_timeout: Duration,
    /// Longest pause between two requests of a connection.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["1s", "1h"]))]
    pub idle_timeout: Duration,
    /// Longest time a client may accept no byte of a response.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["1s", "1h"]))]
    pub write_timeout: Duration,
    /// Origins whose pages may fetch (CORS): `https://player.example`, or `*` for any.
    #[schemars(with = "Vec<text::Origin>")]
    pub cors_origins: Vec<String>,
    /// File that gets a line for each request, relative to the configuration's: in the combined form, or JSON where
    /// `log.format` is `json`. Without it there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<PathBuf>,
}

impl Default for EdgeHttp {
    fn default() -> Self {
        Self {
            listen: any(8080),
            certificate: None,
            key: None,
            connections_max: 10_000,
            connections_per_address_max: 512,
            requests_per_second_max: 10_000,
            header_bytes_max: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(20),
            cors_origins: vec!["*".into()],
            access_log: None,
        }
    }
}

/// `[packager]`: how a Feed is cut.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Packager {
    /// Length of a Part: the step in which players advance. Shorter is less latency and more requests.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["40ms", "5s"]))]
    pub part: Duration,
    /// Length of a Segment. The encoder's key frames must come at least this often.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["500ms", "30s"]))]
    pub segment: Duration,
    /// How far back players can seek. Memory grows with it, up to `memory_max`.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["2s", "12h"]))]
    pub window: Duration,
    /// Most bytes of media that a Channel holds in memory. A window that asks for more comes out shorter.
    #[serde(serialize_with = "bytes::serialize")]
    #[schemars(with = "bytes::Text", extend("x-range" = ["16MiB", "256GiB"]))]
    pub memory_max: usize,
    /// The Manifest names Segments by number, where the encoder's key frames allow it, so that Shaka and dash.js play
    /// a second or two behind live. Otherwise it lists them, which every player keeps through a venue's absence
    /// and a change of picture.
    pub low_latency_dash: bool,
    /// HLS Playlists tell of what a venue did not send by a gap (`EXT-X-GAP`) before what follows. hls.js 1.7 stands at
    /// some of them; the discontinuity alone takes every player across.
    pub hls_gaps: bool,
    /// Directory that keeps the Segments on disk, beyond what memory holds. Relative to this file. Without it nothing
    /// is kept on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<PathBuf>,
    /// How long a Segment is kept on disk. What is older is deleted within a minute.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["1m", "30d"]))]
    pub archive_window: Duration,
    /// Most bytes on disk, all Channels together; beyond, the oldest Segments go before their time.
    #[serde(serialize_with = "bytes::serialize")]
    #[schemars(with = "bytes::Text", extend("x-range" = ["16MiB", "1024TiB"]))]
    pub archive_bytes_max: usize,
}

impl Default for Packager {
    fn default() -> Self {
        Self {
            part: Duration::from_millis(200),
            segment: Duration::from_secs(2),
            window: Duration::from_secs(600),
            memory_max: 1 << 30,
            low_latency_dash: false,
            hls_gaps: false,
            archive: None,
            archive_window: Duration::from_secs(4 * 3600),
            archive_bytes_max: 1 << 40,
        }
    }
}

/// `[admin]`: the console, the API, metrics and health.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Admin {
    /// TCP address and port of the console, `/api/v1`, `/metrics`, `/healthz` and `/readyz`. One that other machines
    /// can reach needs a token.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Address")]
    pub listen: SocketAddr,
    /// Token that `/api/v1` asks for (`Authorization: Bearer`), and so the console. Without one the API answers
    /// nobody; metrics, health and the console's own files ask for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::secret::Token>")]
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), token: None }
    }
}

/// `[state]`: what the node remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct State {
    /// Directory for what outlives the process: the revisions of this file. Relative to this file. Without it: beside
    /// this file, under its name with `.state` for `.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Log {
    /// `human` for a terminal, `json` for a collector.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`; or one per module, as
    /// `info,flambeau_srt=debug`. `--log-level` and `RUST_LOG` go before it.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".into() }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LogFormat {
    /// For eyes: one compact line, in colour on a terminal.
    #[default]
    Human,
    /// For machines: one JSON object a line.
    Json,
}

/// `[drain]`: how the process ends.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub struct Drain {
    /// How long Sessions may go on after SIGTERM or Ctrl-C before they are cut.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", extend("x-range" = ["0s", "1h"]))]
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10) }
    }
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}
