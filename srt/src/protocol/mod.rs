//! The sans-IO core: bytes and time go in, bytes, events and deadlines come out.
//!
//! Sources: draft-sharabayko-srt-01 ("the draft" in the comments below), and libsrt 1.5 where it decides what peers
//! in the field expect.

mod allowance;
pub mod burst;
pub mod connection;
pub mod crypto;
pub mod handshake;
pub mod pacer;
pub mod packet;
pub mod receiver;
pub mod reject;
pub mod rtt;
pub mod sender;
pub mod seq;
pub mod stats;
pub mod stream_id;
