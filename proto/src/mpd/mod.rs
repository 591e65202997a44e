//! mpd
