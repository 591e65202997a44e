//! flambeau-edge
