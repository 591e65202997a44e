//! One client through the proxy: its own socket towards the server, and a link each way.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Report;
use super::link::{Counts, Link};
use super::socket::{Arena, Burst, Socket};

/// One client's flow; it lives until nothing has passed for `idle`.
pub(super) struct Flow {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    /// The proxy's own socket, which the client knows.
    pub(super) listener: Arc<Socket>,
    /// This flow's socket, which the server knows.
    pub(super) socket: Socket,
    pub(super) inbox: mpsc::Receiver<Burst>,
    pub(super) up: Link,
    pub(super) down: Link,
    pub(super) idle: Duration,
    pub(super) report: Arc<Mutex<Report>>,
}

impl Flow {
    pub(super) async fn run(mut self) -> io::Result<()> {
        let (mut arena, mut run) = (Arena::new(), Vec::new());
        let mut reported = (Counts::default(), Counts::default());
        loop {
            let wait = self.until_next();
            let (up, down) = (&mut self.up, &mut self.down);
            let woken = timeout(wait.unwrap_or(self.idle), async {
                tokio::select! {
                    // The sender goes with the proxy alone.
                    burst = self.inbox.recv() => burst.map(|burst| offer(up, &burst)).ok_or(io::ErrorKind::BrokenPipe.into()),
                    received = self.socket.receive(&mut arena, |from, burst| {
                        if from == self.server {
                            offer(down, &burst);
                        }
                    }) => received,
                }
            })
            .await;
            match woken {
                Ok(result) => result?,
                Err(_) if wait.is_none() => return Ok(()),
                Err(_) => {}
            }
            while let Ok(burst) = self.inbox.try_recv() {
                offer(&mut self.up, &burst);
            }
            let now = Instant::now();
            self.socket.flush(&mut self.up, now, self.server, &mut run).await?;
            self.listener.flush(&mut self.down, now, self.client, &mut run).await?;
            self.add_to_report(&mut reported);
        }
    }

    /// How long until a held datagram is due.
    fn until_next(&self) -> Option<Duration> {
        let due = [self.up.next_due(), self.down.next_due()].into_iter().flatten().min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn add_to_report(&self, reported: &mut (Counts, Counts)) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.up.add_change(&reported.0, self.up.counts());
        report.down.add_change(&reported.1, self.down.counts());
        *reported = (*self.up.counts(), *self.down.counts());
    }
}

/// Offers each datagram of a burst.
fn offer(link: &mut Link, burst: &Burst) {
    let now = Instant::now();
    for datagram in burst.datagrams() {
        link.offer(now, datagram);
    }
}
