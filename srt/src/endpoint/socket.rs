//! A UDP socket that reads and writes runs of datagrams.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::protocol::burst::Burst;

/// Where a datagram came from, and which of our addresses it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) peer: SocketAddr,
    pub(super) local: Option<IpAddr>,
}

/// A socket and the kernel features it has.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    buffers: Box<[u8]>,
}

impl Socket {
    /// Binds `address`; with `shared`, other sockets of this process may bind it as well.
    pub(super) fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::UdpSocket> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(shared)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        enlarge_buffers(&socket)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    /// Takes a bound socket into the runtime of the calling thread.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let io = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { buffers: vec![0; BATCH_SIZE * BUFFER_BYTES].into(), io, state })
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Hands what has arrived to `take`, a datagram at a time. Returns how many there were; zero: none for now.
    ///
    /// A run of datagrams that the kernel has put together is copied once, into allocations that a few of them share:
    /// one that is kept must not keep a whole run of its peer's.
    pub(super) fn receive(&mut self, mut take: impl FnMut(Route, BytesMut)) -> io::Result<usize> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let (io, state, buffers) = (&self.io, &self.state, &mut self.buffers);
        let received = io.try_io(Interest::READABLE, || {
            let mut chunks = buffers.chunks_exact_mut(BUFFER_BYTES);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            state.recv(io.into(), &mut slices, &mut metas)
        });
        let runs = match received {
            Ok(runs) => runs,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut count = 0;
        for (meta, buffer) in metas.iter().zip(self.buffers.chunks_exact(BUFFER_BYTES)).take(runs) {
            let route = Route { peer: meta.addr, local: meta.dst_ip };
            let run = &buffer[..meta.len.min(BUFFER_BYTES)];
            let stride = meta.stride.clamp(1, run.len().max(1));
            for together in run.chunks(stride * SHARED_MAX) {
                let mut together = BytesMut::from(together);
                while !together.is_empty() {
                    let datagram = together.split_to(stride.min(together.len()));
                    take(route, datagram);
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Sends a burst. Returns how many of its runs the kernel had no room for: they are lost like any packet on the
    /// way, and recovered like it.
    pub(super) fn send(&self, route: Route, burst: &Burst) -> usize {
        let mut lost = 0;
        // Read each time: the state finds out by failure that an interface has no segmentation offload.
        let segments_max = self.state.max_gso_segments().max(1);
        for (bytes, size) in burst.runs() {
            for run in bytes.chunks(size * segments_max) {
                let transmit = Transmit {
                    destination: route.peer,
                    ecn: None,
                    contents: run,
                    segment_size: (run.len() > size).then_some(size),
                    src_ip: route.local,
                };
                // The kernel is asked each time: the runtime's notion of it is as old as the last wait.
                let sent = self.state.try_send((&self.io).into(), &transmit);
                lost += usize::from(sent.is_err());
            }
        }
        lost
    }
}

/// Asks for large kernel buffers: past net.core.{r,w}mem_max where this process may, up to it where not.
fn enlarge_buffers(socket: &socket2::Socket) -> io::Result<()> {
    use rustix::net::sockopt::{set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force};
    if set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER_BYTES).is_err() {
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    }
    if set_socket_send_buffer_size_force(socket, SOCKET_BUFFER_BYTES).is_err() {
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    }
    let granted = socket.recv_buffer_size()?;
    if granted < SOCKET_BUFFER_BYTES {
        tracing::warn!(
            granted,
            wanted = SOCKET_BUFFER_BYTES,
            "small UDP receive buffer: bursts may be lost. Raise it: sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES}"
        );
    }
    Ok(())
}

/// What a GRO run may hold.
const BUFFER_BYTES: usize = 64 * 1024;

/// Datagrams that share an allocation.
const SHARED_MAX: usize = 8;

/// Three seconds of a 20 Mb/s feed: what a worker may be busy for without a loss.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
