//! What one client may ask of us: requests a second, and HTTP/2 streams at a time.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Limits;
use super::admission::{Refused, subscriber};

/// The clients of a listener, each by its address. A request takes the lock of a sixty-fourth of them for a moment.
#[derive(Debug)]
pub(super) struct Clients {
    shards: [Mutex<HashMap<IpAddr, Client>>; SHARDS],
    hasher: RandomState,
    streams: AtomicUsize,
}

#[derive(Debug)]
struct Client {
    /// Requests it may still make at once.
    allowance: f64,
    at: Instant,
    streams: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            streams: AtomicUsize::new(0),
        }
    }
}

impl Clients {
    /// Counts a request. False: its client has used up what `per_second` gives it, a second's worth at once at most.
    pub(super) fn may_request(&self, address: IpAddr, per_second: u32, now: Instant) -> bool {
        let (address, per_second) = (subscriber(address), f64::from(per_second));
        let mut shard = self.shard(address);
        let Some(client) = client(&mut shard, address, per_second, now) else { return true };
        let regained = now.saturating_duration_since(client.at).as_secs_f64() * per_second;
        client.allowance = (client.allowance + regained).min(per_second.max(1.0));
        client.at = now;
        if client.allowance < 1.0 {
            return false;
        }
        client.allowance -= 1.0;
        true
    }

    /// A place for a stream, within the limits of connections: in total, and of one address.
    pub(super) fn open_stream(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Place, Refused> {
        let address = subscriber(address);
        let mut place = Place { clients: self.clone(), address, counted: false };
        // The place gives the count back where it is not kept.
        if self.streams.fetch_add(1, Relaxed) >= limits.connections_max {
            return Err(Refused::Total);
        }
        let mut shard = self.shard(address);
        let per_second = f64::from(limits.requests_per_second_max);
        let Some(client) = client(&mut shard, address, per_second, Instant::now()) else { return Ok(place) };
        if client.streams >= limits.connections_per_address_max {
            drop(shard);
            return Err(Refused::PerAddress);
        }
        client.streams += 1;
        drop(shard);
        place.counted = true;
        Ok(place)
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, Client>> {
        // The remainder is less than SHARDS.
        let index = (self.hasher.hash_one(address) % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a client; None where there is no room, which takes more addresses at once than connections are allowed.
fn client(
    shard: &mut HashMap<IpAddr, Client>,
    address: IpAddr,
    per_second: f64,
    now: Instant,
) -> Option<&mut Client> {
    if shard.len() >= CLIENTS_PER_SHARD_MAX && !shard.contains_key(&address) {
        // Who has been quiet for a second has all of its allowance again: nothing is to be remembered of it.
        shard.retain(|_, client| {
            client.streams > 0 || now.saturating_duration_since(client.at).as_secs_f64() < 1.0
        });
        if shard.len() >= CLIENTS_PER_SHARD_MAX {
            return None;
        }
    }
    let fresh = || Client { allowance: per_second.max(1.0), at: now, streams: 0 };
    Some(shard.entry(address).or_insert_with(fresh))
}

/// A stream's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
    counted: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.streams.fetch_sub(1, Relaxed);
        if self.counted
            && let Some(client) = self.clients.shard(self.address).get_mut(&self.address)
        {
            client.streams -= 1;
        }
    }
}

const SHARDS: usize = 64;
const CLIENTS_PER_SHARD_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use flambeau_config::EdgeHttp;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_has_a_second_s_worth_at_once_and_regains_it() {
        let (clients, now) = (Clients::default(), Instant::now());
        let ask = |address, ms| clients.may_request(ip(address), 10, now + Duration::from_millis(ms));
        for _ in 0..10 {
            assert!(ask("192.0.2.1", 0));
        }
        assert!(!ask("192.0.2.1", 0));
        assert!(ask("192.0.2.2", 0), "another client");
        assert!(ask("192.0.2.1", 110));
        assert!(!ask("192.0.2.1", 110));
        assert_eq!((0..20).filter(|_| ask("192.0.2.1", 60_000)).count(), 10);
    }

    #[test]
    fn streams_are_limited_over_all_connections_of_a_client() {
        let clients = Arc::new(Clients::default());
        let limits = Limits {
            connections_max: 3,
            connections_per_address_max: 2,
            ..Limits::from(&EdgeHttp::default())
        };
        let first = clients.open_stream(ip("2001:db8::1"), &limits).expect("room");
        let _second = clients.open_stream(ip("2001:db8::2"), &limits).expect("room");
        assert_eq!(clients.open_stream(ip("2001:db8::3"), &limits).err(), Some(Refused::PerAddress));
        let _third = clients.open_stream(ip("192.0.2.1"), &limits).expect("room");
        assert_eq!(clients.open_stream(ip("192.0.2.2"), &limits).err(), Some(Refused::Total));
        drop(first);
        assert!(clients.open_stream(ip("2001:db8::1"), &limits).is_ok());
        assert_eq!(clients.streams.load(Relaxed), 2);
    }

    #[test]
    fn clients_that_are_gone_make_room() {
        let (clients, now) = (Clients::default(), Instant::now());
        for n in 0..600_000_u32 {
            let at = now + Duration::from_micros(u64::from(n) * 10);
            assert!(clients.may_request(IpAddr::V4(Ipv4Addr::from(n)), 1, at));
        }
        let held: usize = clients.shards.iter().map(|shard| shard.lock().expect("no panic").len()).sum();
        assert!(held <= SHARDS * CLIENTS_PER_SHARD_MAX, "{held}");
    }
}
