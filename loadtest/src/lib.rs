//! Venues, broadcasters and faults, over sockets only.
//!
//! [`impair`] is a seeded UDP proxy that loses, delays and reorders; [`ts`] makes the transport stream that
//! byte-exact tests publish; [`pace`] plays it out at its own rate. The command line of them is [`Command`].

pub mod clock;
pub mod cmaf;
mod command;
pub mod dash;
pub mod hls;
pub mod impair;
pub mod pace;
pub mod player;
pub mod process;
pub mod pull;
pub mod reel;
pub mod report;
pub mod run;
pub mod scenario;
mod stage;
pub mod tally;
pub mod ts;
pub mod units;
pub mod venue;
pub mod web;

pub use command::Command;
