//! Whether the node takes Sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the node takes Sessions; cheap to clone. It does from the start: the admin port opens last of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// The node takes no further Session; there is no way back.
    pub(crate) fn drain(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// What keeps it from being ready, as a part of a sentence. None: it is ready.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        self.0.load(Ordering::Acquire).then_some("it is being stopped and takes no further Session")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_until_its_drain() {
        let readiness = Readiness::default();
        assert_eq!(readiness.obstacle(), None);
        readiness.clone().drain();
        assert!(readiness.obstacle().is_some_and(|obstacle| obstacle.contains("stopped")));
    }
}
