//! flambeau-loadtest
