//! The HTTP edge as its clients meet it: the real server on a loopback port, and bytes on a socket.

mod common;
mod delivery;
mod entitlement;
mod growing;
mod http2;
mod limits;
mod low_latency;
mod start_over;
mod texts;
mod tls;
mod viewers;
