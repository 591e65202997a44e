//! A UDP proxy that loses, delays, reorders and doubles packets, from a seed.
//!
//! Each client gets a socket of its own towards the server, as behind a NAT, and a [`link::Link`] each way. The
//! fate of the n-th packet of the m-th client in one direction depends on the seed alone. A kernel without
//! `netem` needs nothing more.

mod flow;
pub mod link;
mod socket;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use self::flow::Flow;
use self::link::{Conditions, Counts, Link};
use self::socket::{Arena, Burst, Socket};

/// What a [`Proxy`] does.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients send to. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server they mean.
    pub to: SocketAddr,
    /// From client to server.
    pub up: Conditions,
    /// From server to client.
    pub down: Conditions,
    /// What every flow's fate is drawn from.
    pub seed: u64,
    /// Clients at a time; datagrams of further ones are dropped and counted.
    pub clients_max: usize,
    /// A client that neither sends nor receives for this long is forgotten.
    pub idle: Duration,
}

impl Settings {
    /// A proxy on a free loopback port that hands everything to `to` unchanged.
    pub fn clean(to: SocketAddr) -> Self {
        let conditions = Conditions { queue_bytes_max: QUEUE_BYTES_MAX, ..Conditions::default() };
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            to,
            up: conditions.clone(),
            down: conditions,
            seed: 1,
            clients_max: CLIENTS_MAX,
            idle: IDLE,
        }
    }

    /// This, with `change` made to both directions.
    #[must_use]
    pub fn both_ways(mut self, change: impl Fn(&mut Conditions)) -> Self {
        change(&mut self.up);
        change(&mut self.down);
        self
    }
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The seed it all came from.
    pub seed: u64,
    /// Clients served so far.
    pub clients: u64,
    /// Datagrams of clients beyond the number allowed.
    pub refused: u64,
    /// From clients to the server.
    pub up: Counts,
    /// From the server to clients.
    pub down: Counts,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    report: Arc<Mutex<Report>>,
    task: JoinHandle<io::Result<()>>,
}

impl Proxy {
    /// Starts a proxy on the current tokio runtime.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = Arc::new(Socket::bind(settings.listen)?);
        let address = listener.local_addr()?;
        let report = Arc::new(Mutex::new(Report { seed: settings.seed, ..Report::default() }));
        let flows = Flows { settings, listener, report: report.clone(), by_client: HashMap::new() };
        Ok(Self { address, report, task: tokio::spawn(flows.run()) })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn report(&self) -> Report {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the error that ends it; without one it runs until it is dropped.
    pub async fn failure(&mut self) -> io::Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => io::ErrorKind::BrokenPipe.into(),
            Err(error) => io::Error::other(error),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The clients there are.
struct Flows {
    settings: Settings,
    listener: Arc<Socket>,
    report: Arc<Mutex<Report>>,
    by_client: HashMap<SocketAddr, mpsc::Sender<Burst>>,
}

impl Flows {
    async fn run(mut self) -> io::Result<()> {
        let mut arena = Arena::new();
        // Dropped with this task, and every flow with it.
        let mut tasks = JoinSet::new();
        let listener = self.listener.clone();
        let mut bursts = Vec::new();
        loop {
            listener.receive(&mut arena, |client, burst| bursts.push((client, burst))).await?;
            for (client, burst) in bursts.drain(..) {
                self.hand_on(client, burst, &mut tasks)?;
            }
            while tasks.try_join_next().is_some() {}
        }
    }

    fn hand_on(
        &mut self,
        client: SocketAddr,
        burst: Burst,
        tasks: &mut JoinSet<io::Result<()>>,
    ) -> io::Result<()> {
        let burst = match self.by_client.get(&client) {
            Some(flow) => match flow.try_send(burst) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(burst)) => {
                    let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.up.packets += burst.len() as u64;
                    report.up.overflowed += burst.len() as u64;
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Closed(burst)) => burst,
            },
            None => burst,
        };
        self.by_client.retain(|_, flow| !flow.is_closed());
        if self.by_client.len() >= self.settings.clients_max {
            self.report.lock().unwrap_or_else(PoisonError::into_inner).refused += burst.len() as u64;
            return Ok(());
        }
        let (sender, flow) = self.open(client)?;
        // The queue of a flow that has just been opened is empty.
        let _ = sender.try_send(burst);
        self.by_client.insert(client, sender);
        tasks.spawn(flow.run());
        Ok(())
    }

    fn open(&self, client: SocketAddr) -> io::Result<(mpsc::Sender<Burst>, Flow)> {
        let index = {
            let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
            report.clients += 1;
            report.clients - 1
        };
        let any: IpAddr = match self.settings.to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (sender, inbox) = mpsc::channel(INBOX_BURSTS);
        let seed = |direction| seed_of(self.settings.seed, index, direction);
        let flow = Flow {
            client,
            server: self.settings.to,
            listener: self.listener.clone(),
            socket: Socket::bind(SocketAddr::new(any, 0))?,
            inbox,
            up: Link::new(self.settings.up.clone(), seed(0)),
            down: Link::new(self.settings.down.clone(), seed(1)),
            idle: self.settings.idle,
            report: self.report.clone(),
        };
        Ok((sender, flow))
    }
}

/// A seed for one direction of one flow; neighbours lie far apart.
fn seed_of(seed: u64, flow: u64, direction: u64) -> u64 {
    // 2^64 divided by the golden ratio: consecutive multiples of it spread evenly.
    seed.wrapping_add((flow * 2 + direction + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Bytes a link holds unless told otherwise: 20 ms at 3 Gb/s, or 3 s at 20 Mb/s.
pub const QUEUE_BYTES_MAX: usize = 8 << 20;
/// Clients at a time unless told otherwise.
pub const CLIENTS_MAX: usize = 1024;
/// When a silent client is forgotten unless told otherwise.
pub const IDLE: Duration = Duration::from_secs(30);
/// Bursts that wait for a flow's task.
const INBOX_BURSTS: usize = 1024;

#[cfg(test)]
mod tests;
