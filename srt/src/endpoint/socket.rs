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
    /// Of datagrams that go one a call. The kernel refuses some paths (port 0, an address that is no longer ours) with what
    /// quinn-udp takes for a missing segmentation offload, and then never tries it again: that must not cost the others
    /// theirs.
    singles: UdpSocketState,
}

/// What became of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    /// Runs that the kernel did not take: they are lost like any packet on the way, and recovered like it.
    pub(super) lost: usize,
    /// It had no room for one of them, and would not have for another peer's.
    pub(super) is_full: bool,
    /// It will not cut runs into datagrams on this path.
    pub(super) refused_runs: bool,
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
        let [state, singles] = [UdpSocketState::new((&io).into())?, UdpSocketState::new((&io).into())?];
        Ok(Self { io, state, singles })
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

    /// Sends a burst of a session; in runs that the kernel cuts into datagrams where it has that, and `in_runs`.
    pub(super) fn send(&mut self, route: Route, burst: &Burst, in_runs: bool) -> Sent {
        let mut sent = Sent::default();
        let segments_max = if in_runs { self.state.max_gso_segments().max(1) } else { 1 };
        for (bytes, size) in burst.runs() {
            for run in bytes.chunks(size * segments_max) {
                let failed = if run.len() > size && !sent.refused_runs {
                    self.send_run(route, run, size, &mut sent)
                } else {
                    run.chunks(size).find_map(|one| self.send_single(route, one).err())
                };
                if let Some(error) = failed {
                    sent.lost += 1;
                    sent.is_full |= is_full(&error);
                }
            }
        }
        sent
    }

    /// Sends one datagram to whoever called; false: the kernel did not take it.
    pub(super) fn answer(&self, route: Route, answer: &[u8]) -> bool {
        self.send_single(route, answer).is_ok()
    }

    /// Why it was not sent, if it was not.
    fn send_run(&mut self, route: Route, run: &[u8], size: usize, sent: &mut Sent) -> Option<io::Error> {
        let transmit = Transmit { segment_size: Some(size), ..datagram(route, run) };
        let error = self.state.try_send((&self.io).into(), &transmit).err()?;
        if self.state.max_gso_segments() > 1 {
            return Some(error);
        }
        sent.refused_runs = true;
        tracing::warn!(
            peer = %route.peer,
            "the kernel will not cut bursts into datagrams on the way to this peer: its session costs more from now on. A \
             path MTU below 1500 or IPsec may be why"
        );
        // The other sessions' paths are others.
        if let Ok(state) = UdpSocketState::new((&self.io).into()) {
            self.state = state;
        }
        run.chunks(size).find_map(|one| self.send_single(route, one).err())
    }

    fn send_single(&self, route: Route, contents: &[u8]) -> io::Result<()> {
        self.singles.try_send((&self.io).into(), &datagram(route, contents))
    }
}

fn datagram(route: Route, contents: &[u8]) -> Transmit<'_> {
    Transmit { destination: route.peer, ecn: None, contents, segment_size: None, src_ip: route.local }
}

/// Nothing of anybody's can be sent now. Any other error is of one path alone.
fn is_full(error: &io::Error) -> bool {
    let no_buffers = rustix::io::Errno::NOBUFS.raw_os_error();
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(no_buffers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_answered_costs_nobody_the_segmentation_offload() {
        let io = Socket::bind("127.0.0.1:0".parse().expect("an address"), false).expect("bound");
        let mut socket = Socket::new(io).expect("a socket");
        let before = socket.state.max_gso_segments();
        let nobody = Route { peer: "127.0.0.1:0".parse().expect("an address"), local: None };
        assert!(!socket.answer(nobody, b"who is there"));
        assert_eq!(socket.state.max_gso_segments(), before);
        let mut burst = Burst::default();
        burst.push(|_| Some(1));
        let lost = Sent { lost: 1, ..Sent::default() };
        assert_eq!(socket.send(nobody, &burst, true), lost, "of this path alone");
        burst.push(|_| Some(1));
        assert_eq!(socket.send(nobody, &burst, true), Sent { refused_runs: before > 1, ..lost });
        assert_eq!(socket.state.max_gso_segments(), before);
        assert_eq!(socket.send(nobody, &burst, false), Sent { lost: 2, ..lost }, "one a call");
    }
}
