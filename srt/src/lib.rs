//! flambeau-srt
