//! A viewer of live DASH, with low latency or without (ISO/IEC 23009-1).
//!
//! [`manifest`] reads Manifests, [`schedule`] decides what to fetch when, [`viewer`] fetches and plays it.

pub mod manifest;
pub mod schedule;
pub mod viewer;
