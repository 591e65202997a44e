//! flambeau-ingest
