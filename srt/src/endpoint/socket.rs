//! A UDP socket that reads and writes runs of datagrams.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Type};

use super::waker::Waker;
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
}

/// Datagrams that have arrived.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    buffers: Box<[u8]>,
    metas: Vec<RecvMeta>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { buffers: vec![0; BATCH_SIZE * BUFFER_BYTES].into(), metas: Vec::with_capacity(BATCH_SIZE) }
    }

    /// Fewer runs than one call takes: there is nothing more.
    pub(super) fn is_drained(&self) -> bool {
        self.metas.len() < BATCH_SIZE
    }

    /// Each datagram where it lies, with when it came, a run of them that the kernel has put together taken apart. Returns
    /// how many.
    ///
    /// The kernel tells when each came: clocks and round trips are measured by that, however long it lay there.
    pub(super) fn each(&mut self, now: Instant, mut take: impl FnMut(Instant, Route, &mut [u8])) -> usize {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut count = 0;
        for (meta, buffer) in self.metas.iter().zip(self.buffers.chunks_exact_mut(BUFFER_BYTES)) {
            let route = Route { peer: meta.addr, local: meta.dst_ip };
            let age = meta.timestamp.map_or(Duration::ZERO, |came| wall.saturating_sub(came));
            let came = now.checked_sub(age.min(AGE_MAX)).unwrap_or(now);
            let run = &mut buffer[..meta.len.min(BUFFER_BYTES)];
            let stride = meta.stride.clamp(1, run.len().max(1));
            for datagram in run.chunks_mut(stride) {
                take(came, route, datagram);
                count += 1;
            }
        }
        count
    }
}

impl Socket {
    /// Binds `address`; with `shared`, other sockets of this process may bind it as well.
    pub(super) fn bind(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
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

    /// Takes a bound socket.
    pub(super) fn new(io: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { state, io })
    }

    /// Waits until `waker` is called, or for so long; until a datagram comes too, if `readable`. Returns whether it was
    /// called.
    pub(super) fn wait(&self, waker: &Waker, readable: bool, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
        let mut sources = [PollFd::new(waker, PollFlags::IN), PollFd::new(&self.io, PollFlags::IN)];
        let sources = if readable { &mut sources[..] } else { &mut sources[..1] };
        match poll(sources, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let called = !sources[0].revents().is_empty();
        if called {
            waker.clear();
        }
        Ok(called)
    }

    /// Fills `inbox` with what has arrived; false: nothing.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> io::Result<bool> {
        inbox.metas.resize(BATCH_SIZE, RecvMeta::default());
        let mut chunks = inbox.buffers.chunks_exact_mut(BUFFER_BYTES);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = self.state.recv((&self.io).into(), &mut slices, &mut inbox.metas);
        inbox.metas.truncate(*received.as_ref().unwrap_or(&0));
        match received {
            Ok(runs) => Ok(runs > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
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

/// A datagram lay in the socket for so long at most: a wall clock that was set meanwhile must not tell otherwise.
const AGE_MAX: Duration = Duration::from_millis(50);

/// What a GRO run may hold.
const BUFFER_BYTES: usize = 64 * 1024;

/// Three seconds of a 20 Mb/s feed: what a worker may be busy for without a loss.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
