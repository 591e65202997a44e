//! Venues, broadcasters and faults, over sockets only.
//!
//! [`impair`] is a seeded UDP proxy that loses, delays and reorders; [`ts`] makes the transport stream that
//! byte-exact tests publish; [`pace`] plays it out at its own rate. The command line of them is [`Command`].

mod command;
pub mod impair;
pub mod pace;
pub mod ts;
pub mod units;

pub use command::Command;
