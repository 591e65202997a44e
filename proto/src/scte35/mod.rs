//! scte35
