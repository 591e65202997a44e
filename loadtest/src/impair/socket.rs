//! A UDP socket that takes and sends many datagrams a system call.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::link::Link;

/// Datagrams of one peer that came together, each `stride` long but for the last.
#[derive(Debug, Clone)]
pub(super) struct Burst {
    pub(super) bytes: Bytes,
    pub(super) stride: usize,
}

impl Burst {
    /// How many datagrams there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().div_ceil(self.stride)
    }

    /// Each datagram, sharing the burst's memory.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.bytes.len())
            .step_by(self.stride)
            .map(|at| self.bytes.slice(at..(at + self.stride).min(self.bytes.len())))
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    /// Opens a socket bound to `address`.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let io = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&io).into())?;
        // The kernel may grant less; a burst that does not fit is lost as on any network.
        state.set_recv_buffer_size((&io).into(), BUFFER_BYTES)?;
        state.set_send_buffer_size((&io).into(), BUFFER_BYTES)?;
        Ok(Self { io, state })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Waits for datagrams and hands each burst of them to `take`.
    pub(super) async fn receive(
        &self,
        arena: &mut Arena,
        mut take: impl FnMut(SocketAddr, Burst),
    ) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BATCHES];
        let count = loop {
            self.io.readable().await?;
            let mut slices: Vec<_> = arena.0.chunks_mut(SLOT_BYTES).map(IoSliceMut::new).collect();
            let received = self
                .io
                .try_io(Interest::READABLE, || self.state.recv((&self.io).into(), &mut slices, &mut metas));
            match received {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        for (meta, slot) in metas.iter().zip(arena.0.chunks(SLOT_BYTES)).take(count) {
            if meta.len > 0 {
                let bytes = Bytes::copy_from_slice(&slot[..meta.len]);
                take(meta.addr, Burst { bytes, stride: meta.stride.max(1) });
            }
        }
        Ok(())
    }

    /// Sends what `link` has due by `now` to `peer`, in runs of equal length.
    pub(super) async fn flush(
        &self,
        link: &mut Link,
        now: Instant,
        peer: SocketAddr,
        run: &mut Vec<u8>,
    ) -> io::Result<()> {
        while let Some(length) = fill_run(link, now, run, self.state.max_gso_segments()) {
            let transmit = Transmit {
                destination: peer,
                ecn: None,
                contents: run,
                segment_size: (run.len() > length).then_some(length),
                src_ip: None,
            };
            loop {
                let sent =
                    self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit));
                match sent {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.io.writable().await?,
                    // No route, or a run the kernel would not split: lost on the way, as far as the peer can tell.
                    Err(_) => {
                        link.unsent(run.len().div_ceil(length.max(1)) as u64);
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Fills `run` with due datagrams of the same length, the last of which may be shorter; returns that length.
fn fill_run(link: &mut Link, now: Instant, run: &mut Vec<u8>, segments_max: usize) -> Option<usize> {
    run.clear();
    let first = link.pop_due(now)?;
    let length = first.len();
    run.extend_from_slice(&first);
    for _ in 1..segments_max {
        // An empty datagram cannot be told from none inside a run.
        let Some(next) = link.due_len(now).filter(|next| (1..=length).contains(next)) else { break };
        if run.len() + next > RUN_BYTES_MAX {
            break;
        }
        run.extend_from_slice(&link.pop_due(now)?);
        if next < length {
            break;
        }
    }
    Some(length)
}

/// Memory that one receiver reads into.
pub(super) struct Arena(Vec<u8>);

impl Arena {
    pub(super) fn new() -> Self {
        Self(vec![0; BATCHES * SLOT_BYTES])
    }
}

/// Asked of the kernel for each direction of each socket.
const BUFFER_BYTES: usize = 4 << 20;
/// Bursts taken with one call.
const BATCHES: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };
/// The longest burst: a UDP datagram's worth.
const SLOT_BYTES: usize = 64 << 10;
/// The longest run that fits a UDP length field, with room for headers.
const RUN_BYTES_MAX: usize = 64_000;
