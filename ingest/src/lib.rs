//! flambeau-ingest

pub mod signal;
