//! The log: `tracing` on stderr, for eyes or for machines.

mod events;

use std::io::{self, IsTerminal};

use anyhow::Context;
use flambeau_config::{Log, LogFormat};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

pub(crate) use events::{EVENTS_MAX, Event, Events};

/// The log at work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logging {
    /// Its newest lines.
    pub(crate) events: Events,
    level: Option<reload::Handle<EnvFilter, Registry>>,
}

impl Logging {
    /// Logs by another `log.level` from now on, unless the command line or `RUST_LOG` has the say.
    pub(crate) fn follow(&self, log: &Log) {
        let Some(level) = &self.level else { return };
        let changed = filter(None, None, &log.level).map(|filter| level.reload(filter));
        if !matches!(changed, Ok(Ok(()))) {
            tracing::warn!(level = log.level, "log.level could not be changed");
        }
    }
}

/// Starts the log. `level` is the command line's wish; it goes before `RUST_LOG`, which goes before `log`'s.
pub(crate) fn init(log: &Log, level: Option<&str>) -> anyhow::Result<Logging> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|level| !level.is_empty());
    let (filter, handle) = reload::Layer::new(filter(level, from_environment.as_deref(), &log.level)?);
    // https://no-color.org
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let events = Events::default();
    let subscriber = subscriber(log.format, filter, events.clone(), colours, io::stderr);
    tracing::subscriber::set_global_default(subscriber).context("the log is started once")?;
    let level = (level.is_none() && from_environment.is_none()).then_some(handle);
    Ok(Logging { events, level })
}

/// The filter of the first level that is given.
fn filter(
    command_line: Option<&str>,
    environment: Option<&str>,
    configured: &str,
) -> anyhow::Result<EnvFilter> {
    let (source, level) = match (command_line, environment) {
        (Some(level), _) => ("--log-level", level),
        (None, Some(level)) => ("RUST_LOG", level),
        (None, None) => ("log.level", configured),
    };
    EnvFilter::try_new(level).with_context(|| {
        format!("{source} is {level:?}; write a level as info, or one per module as info,flambeau_srt=debug")
    })
}

fn subscriber<W>(
    format: LogFormat,
    filter: reload::Layer<EnvFilter, Registry>,
    events: Events,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match format {
        LogFormat::Human => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // What the API tells does not depend on how much is logged.
    let events = events::Recorder(events).with_filter(LevelFilter::INFO);
    Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)).with(events))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use flambeau_config::Secret;

    use super::*;

    /// What is logged in the form `format` by a venue that is accepted.
    fn logged(format: LogFormat, colours: bool) -> String {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let (filter, _) = reload::Layer::new(filter(None, None, "info").expect("a level"));
        let subscriber = subscriber(format, filter, Events::default(), colours, Sink(sink.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let passphrase = Secret::new("swordfish42");
            tracing::info!(feed = "main", ?passphrase, %passphrase, "venue accepted");
            tracing::debug!("not asked for");
        });
        let bytes = sink.lock().expect("no writer panicked").clone();
        String::from_utf8(bytes).expect("a log line is UTF-8")
    }

    #[derive(Clone)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Sink {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_human_line_has_colours_on_a_terminal_only() {
        let plain = logged(LogFormat::Human, false);
        assert!(plain.contains("venue accepted"), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        assert!(logged(LogFormat::Human, true).contains('\u{1b}'));
    }

    #[test]
    fn a_json_line_is_one_object() {
        let line = logged(LogFormat::Json, false);
        assert_eq!(line.lines().count(), 1, "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&object["level"], &object["message"]), (&"INFO".into(), &"venue accepted".into()));
        assert_eq!(object["feed"], "main");
    }

    #[test]
    fn a_secret_does_not_get_into_the_log() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let line = logged(format, false);
            assert!(line.contains("***") && !line.contains("swordfish"), "{line}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
        let level = |c, e| filter(c, e, "info").expect("a level").to_string();
        assert_eq!(level(Some("debug"), Some("warn")), "debug");
        assert_eq!(level(None, Some("warn")), "warn");
        assert_eq!(level(None, None), "info");
        let error = filter(Some("a=b=c"), None, "info").expect_err("no level").to_string();
        assert!(error.contains("--log-level"), "{error}");
    }
}
