//! flambeau-config
