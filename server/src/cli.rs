//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Live broadcast contribution and distribution.
///
/// A venue publishes a Feed (an MPEG transport stream) over SRT. Broadcasters pull that same stream, byte for byte,
/// over SRT; players get it packaged once as CMAF, over HLS and DASH.
#[derive(Debug, Parser)]
#[command(name = "flambeau", version, arg_required_else_help = true, after_long_help = EXAMPLES, after_help = "--help says more, with examples.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What is logged: off, error, warn, info, debug or trace; or one per module, as info,flambeau_srt=debug.
    ///
    /// Goes before RUST_LOG, which goes before the configuration's log.level.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// What `flambeau` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: by a configuration, or in lab mode without one.
    #[command(long_about = RUN, after_long_help = RUN_EXAMPLES)]
    Run {
        /// The configuration, a TOML file. Without one: lab mode.
        #[arg(value_name = "CONFIG.toml")]
        config: Option<PathBuf>,
        /// The roles this process takes on, one or several.
        ///
        /// ingest takes Feeds in, packager makes Channels of them, edge hands both out.
        #[arg(
            long,
            value_enum,
            value_delimiter = ',',
            value_name = "ROLE",
            default_value = "ingest,packager,edge"
        )]
        role: Vec<Role>,
    },
    /// Say everything that is wrong with a configuration, with line and remedy.
    ///
    /// Exit code 0: it would run, and what would is printed. Exit code 2: it would not.
    Check {
        /// The configuration, a TOML file.
        #[arg(value_name = "CONFIG.toml")]
        config: PathBuf,
    },
    /// Print the configuration's JSON Schema, for an editor that completes and checks TOML.
    ///
    /// With Taplo or Even Better TOML: flambeau schema > flambeau.schema.json, and as the first line of the
    /// configuration: #:schema ./flambeau.schema.json
    Schema,
    /// Play venue, broadcaster or a bad link against a server under test.
    Loadtest {
        /// Which of them.
        #[command(subcommand)]
        command: flambeau_loadtest::Command,
    },
}

/// One part of the work that a process may take on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Takes Feeds in.
    Ingest,
    /// Makes Channels of Feeds.
    Packager,
    /// Hands Feeds and Channels out.
    Edge,
}

/// The roles this process takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    /// It takes Feeds in.
    pub(crate) ingest: bool,
    /// It makes Channels of Feeds.
    pub(crate) packager: bool,
    /// It hands Feeds and Channels out.
    pub(crate) edge: bool,
}

impl Roles {
    /// The roles named.
    pub(crate) fn new(roles: &[Role]) -> Self {
        let has = |role| roles.contains(&role);
        Self { ingest: has(Role::Ingest), packager: has(Role::Packager), edge: has(Role::Edge) }
    }
}

// Paragraphs without line breaks: clap breaks them by the terminal's width.
const RUN: &str = "Run the server: by a configuration, or in lab mode without one.

Lab mode is for trying things out on one machine. It listens on 127.0.0.1 only, takes any Feed id, makes of each \
Feed a Channel of the same id, and asks nobody for an Entitlement.

With a configuration everything it does not grant is denied: only its [[feeds]] may be published, and only by their \
passphrase, users and sources; a broadcaster takes what its [[entitlements]] name. A configuration that is not right \
is not run: every problem of it is printed, and the exit code is 2.

SIGTERM or Ctrl-C drains: nothing new is accepted, Sessions may end by themselves for drain.grace (10s), then they \
are cut. A second signal cuts at once. SIGHUP reads the configuration again; one that is wrong changes nothing, and \
one that is right touches no Session that it does not concern.";

const RUN_EXAMPLES: &str = "\
Default ports:
  udp 9000            SRT in      srt://HOST:9000?streamid=#!::r=FEED,m=publish
  udp 9001            SRT out     srt://HOST:9001?streamid=#!::r=FEED,m=request,u=BROADCASTER
  tcp 8080            HLS, DASH   http://HOST:8080/CHANNEL/index.m3u8, /CHANNEL/manifest.mpd
  tcp 127.0.0.1:8081  admin       / (the console), /api/v1, /metrics, /healthz, /readyz

Examples:
  Lab mode, with a test picture published as the Feed `test`:
    flambeau run &
    ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=25 -c:v libx264 -pix_fmt yuv420p \\
        -g 50 -f mpegts 'srt://127.0.0.1:9000?streamid=test'
  Watch it, and pull the very same transport stream:
    ffplay http://127.0.0.1:8080/test/index.m3u8
    ffplay 'srt://127.0.0.1:9001?streamid=test'
  By a configuration, on a node that takes Feeds in and hands them out but packages nothing:
    flambeau run flambeau.toml --role ingest,edge";

const EXAMPLES: &str = "\
Examples:
  flambeau run                         lab mode: loopback only, any Feed, nobody is asked for rights
  flambeau check flambeau.toml         everything that is wrong with a configuration
  flambeau run flambeau.toml           run it; what it does not grant is denied
  flambeau schema > flambeau.schema.json
  flambeau run --help                  ports, addresses, and how to publish and watch

A configuration to begin with:
  [[feeds]]
  id = \"athletics-main\"
  passphrase_file = \"athletics-main.key\"

  [[channels]]
  id = \"athletics\"
  feed = \"athletics-main\"

  [[broadcasters]]
  id = \"rtx\"
  passphrase_file = \"rtx.key\"
  token_file = \"rtx.token\"

  [[entitlements]]
  broadcaster = \"rtx\"
  feeds = [\"athletics-*\"]

Exit codes: 0 done; 1 it could not go on; 2 the command line or the configuration is wrong.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn roles_of(line: &str) -> Roles {
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a valid command line");
        let Command::Run { role, .. } = cli.command else { panic!("run was asked for") };
        Roles::new(&role)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_process_takes_on_all_roles_unless_told() {
        assert_eq!(roles_of("flambeau run"), Roles { ingest: true, packager: true, edge: true });
        let some = Roles { ingest: true, packager: false, edge: true };
        assert_eq!(roles_of("flambeau run c.toml --role ingest,edge"), some);
        assert_eq!(roles_of("flambeau run --role ingest --role edge --log-level debug"), some);
    }

    #[test]
    fn no_example_is_wider_than_a_line_of_help() {
        // clap's width where there is no terminal.
        let wide = |text: &str| text.lines().filter(|line| line.chars().count() > 100).count();
        assert_eq!((wide(EXAMPLES), wide(RUN_EXAMPLES)), (0, 0));
    }

    #[test]
    fn help_names_each_default_port() {
        let config = flambeau_config::Config::default();
        let listens =
            [config.ingest.srt.listen, config.edge.srt.listen, config.edge.http.listen, config.admin.listen];
        for listen in listens {
            assert!(RUN_EXAMPLES.contains(&listen.port().to_string()), "{listen} is not in the help");
        }
    }
}
