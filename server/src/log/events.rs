//! The newest lines of the log, for the API.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_media::Utc;
use serde::Serialize;
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use utoipa::ToSchema;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Its number, from 1, since the process began.
    pub(crate) id: u64,
    /// When it happened.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// How much it matters.
    pub(crate) level: EventLevel,
    /// The part of Flambeau that says it: `ingest`, `packager`, `edge`, `server`, `srt`, or a library.
    pub(crate) room: String,
    /// The sentence.
    pub(crate) text: String,
    /// What it is about: `feed`, `channel`, `peer` and others.
    pub(crate) fields: BTreeMap<String, String>,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventLevel {
    /// It happened.
    Info,
    /// Someone should look at it.
    Warn,
    /// Something is broken.
    Error,
}

/// The newest events; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    sender: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    last: u64,
}

impl Default for Events {
    fn default() -> Self {
        let sender = broadcast::Sender::new(BACKLOG);
        Self(Arc::new(Shared { ring: Mutex::default(), sender }))
    }
}

impl Events {
    /// The events after that of the id, oldest first; the newest where no id is given. At most `limit`.
    pub(crate) fn after(&self, id: Option<u64>, limit: usize) -> Vec<Arc<Event>> {
        let ring = self.lock();
        match id {
            Some(id) => {
                let start = ring.events.partition_point(|event| event.id <= id);
                ring.events.range(start..).take(limit).cloned().collect()
            }
            None => ring.events.range(ring.events.len().saturating_sub(limit)..).cloned().collect(),
        }
    }

    /// The newest warning or error about each value of `field`: about each feed, about each channel.
    pub(crate) fn newest_faults(&self, field: &str) -> BTreeMap<String, Arc<Event>> {
        let ring = self.lock();
        let faults = ring.events.iter().filter(|event| event.level >= EventLevel::Warn);
        faults.filter_map(|event| Some((event.fields.get(field)?.clone(), event.clone()))).collect()
    }

    /// The events there are, and each as it happens, none left out in between.
    pub(crate) fn follow(&self, after: Option<u64>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        // What happens between the two is in both; ids tell.
        let receiver = self.0.sender.subscribe();
        (after.map_or_else(Vec::new, |id| self.after(Some(id), usize::MAX)), receiver)
    }

    fn push(&self, event: Event) {
        let mut ring = self.lock();
        ring.last += 1;
        let event = Arc::new(Event { id: ring.last, ..event });
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        ring.events.push_back(event.clone());
        // Sent under the lock, so that ids rise for whoever listens. An error means that nobody does.
        let _ = self.0.sender.send(event);
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts what is logged into the ring.
#[derive(Debug)]
pub(super) struct Recorder(pub(super) Events);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => EventLevel::Error,
            Level::WARN => EventLevel::Warn,
            Level::INFO => EventLevel::Info,
            _ => return,
        };
        let mut said = Said::default();
        event.record(&mut said);
        let room = room(metadata.target()).to_owned();
        let at = Utc::now().to_string();
        self.0.push(Event { id: 0, at, level, room, text: said.text, fields: said.fields });
    }
}

/// The part of Flambeau of a target: `ingest` of `flambeau_ingest::srt::admit`.
fn room(target: &str) -> &str {
    let name = target.split("::").next().unwrap_or(target);
    match name.strip_prefix("flambeau") {
        Some("") => "server",
        Some(room) => room.trim_start_matches('_'),
        None => name,
    }
}

/// What an event says, no longer than is good for the ring: a caller may have chosen part of it.
#[derive(Default)]
struct Said {
    text: String,
    fields: BTreeMap<String, String>,
}

impl Said {
    fn take(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let mut text = Bounded::default();
        // An error means that it is full.
        let _ = text.write_fmt(value);
        if field.name() == "message" {
            self.text = text.0;
        } else if self.fields.len() < FIELDS_MAX {
            self.fields.insert(field.name().to_owned(), text.0);
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format_args!("{value:?}"));
    }
}

#[derive(Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() + character.len_utf8() > TEXT_BYTES_MAX {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

/// Events that are kept.
pub(crate) const EVENTS_MAX: usize = 1_000;

/// Events that a slow listener may be behind before it loses some.
const BACKLOG: usize = 256;

const TEXT_BYTES_MAX: usize = 2_000;
const FIELDS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn recorded(say: impl FnOnce()) -> Events {
        let events = Events::default();
        let subscriber = tracing_subscriber::registry().with(Recorder(events.clone()));
        tracing::subscriber::with_default(subscriber, say);
        events
    }

    #[test]
    fn an_event_keeps_its_sentence_and_what_it_is_about() {
        let secret = flambeau_config::Secret::new("swordfish42");
        let events = recorded(|| {
            tracing::warn!(target: "flambeau_ingest::srt", feed = "main", code = 1403, ?secret, "turned {}", "away");
            tracing::debug!("not kept");
        });
        let [event] = &events.after(None, 10)[..] else { panic!("one event") };
        assert_eq!((event.id, event.level, event.room.as_str()), (1, EventLevel::Warn, "ingest"));
        assert_eq!(event.text, "turned away");
        let fields: Vec<_> = event.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(fields, ["code=1403", "feed=main", "secret=***"]);
        assert_eq!(events.newest_faults("feed")["main"].id, 1);
    }

    #[test]
    fn the_ring_keeps_the_newest_and_no_text_without_end() {
        let long = "x".repeat(10_000);
        let events = recorded(|| {
            for n in 0..EVENTS_MAX + 5 {
                tracing::info!(n, long, "{long}");
            }
        });
        let kept = events.after(None, usize::MAX);
        assert_eq!((kept.len(), kept[0].id), (EVENTS_MAX, 6));
        assert_eq!((kept[0].text.len(), kept[0].fields["long"].len()), (TEXT_BYTES_MAX, TEXT_BYTES_MAX));
        let some: Vec<u64> = events.after(Some(10), 3).iter().map(|event| event.id).collect();
        assert_eq!(some, [11, 12, 13]);
        assert!(events.after(Some(u64::MAX), 3).is_empty());
    }

    #[test]
    fn a_room_is_named_by_its_crate() {
        let rooms = ["flambeau::run", "flambeau_edge::srt::admit", "h2::codec"].map(room);
        assert_eq!(rooms, ["server", "edge", "h2"]);
    }
}
