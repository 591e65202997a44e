//! The configuration of this moment, for whoever must not keep an old one.

use std::sync::Arc;

use tokio::sync::watch;

use crate::policy::Policy;
use crate::schema::Config;

/// The configuration of this moment; cheap to clone, and every clone sees a change at once.
///
/// [`Live::policy`] is of this moment too, however long it is held. Who has Sessions of its own takes
/// [`Live::subscribe`] and ends those that the new configuration no longer allows, and no other.
#[derive(Debug, Clone)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: Arc<Config>,
    current: watch::Sender<Arc<Config>>,
    policy: Policy,
}

impl Live {
    /// Starts with `config`.
    pub fn new(config: Config) -> Self {
        let policy = Policy::new(&config);
        let started = Arc::new(config);
        Self(Arc::new(Shared { started: started.clone(), current: watch::Sender::new(started), policy }))
    }

    /// The configuration of this moment.
    pub fn current(&self) -> Arc<Config> {
        self.0.current.borrow().clone()
    }

    /// The configuration the process started with: what it listens on is still as this one says.
    pub fn started(&self) -> &Arc<Config> {
        &self.0.started
    }

    /// Who may publish, pull and watch, asked of the configuration of the moment in which it is asked.
    pub fn policy(&self) -> Policy {
        self.0.policy.clone()
    }

    /// The configuration, and each that replaces it.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.0.current.subscribe()
    }

    /// Replaces the configuration. The rights are the new ones before any subscriber wakes.
    pub fn apply(&self, config: Config) {
        self.0.policy.replace(&config);
        self.0.current.send_replace(Arc::new(config));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FeedConfig;

    fn with_feed(name: &str) -> Config {
        let feed = FeedConfig::new(name.parse().expect("an id"));
        Config { feeds: vec![feed], ..Config::default() }
    }

    #[tokio::test]
    async fn a_policy_that_was_taken_before_a_change_knows_the_change() {
        let live = Live::new(with_feed("one"));
        let (policy, mut changes) = (live.policy(), live.subscribe());
        let knows = |name: &str| policy.feed(&name.parse().expect("an id")).is_some();
        assert!(knows("one") && !knows("two"));
        live.clone().apply(with_feed("two"));
        assert!(!knows("one") && knows("two"));
        changes.changed().await.expect("the configuration lives");
        assert_eq!(changes.borrow().feeds[0].id.as_str(), "two");
        assert_eq!(live.current().feeds[0].id.as_str(), "two");
        assert_eq!(live.started().feeds[0].id.as_str(), "one");
    }
}
