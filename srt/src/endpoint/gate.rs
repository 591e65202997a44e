//! How many may come in, and how often they may ask: what is decided of a caller before anybody thinks about it.
//!
//! Addresses count once a cookie has proven them, so that nobody uses up another's share with a forged one. What is
//! remembered of them is bounded, however many there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::protocol::reject::{Reason, Refusal};

/// What a port takes. More callers are turned away with `Overload` (1402).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sessions and undecided requests together.
    pub sessions_max: usize,
    /// The same of one address; of IPv6: of one /64.
    pub sessions_per_address_max: usize,
    /// Handshakes of one address in a second, on average over ten.
    pub handshakes_per_second_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions_max: 1_000, sessions_per_address_max: 1_000, handshakes_per_second_max: 100 }
    }
}

/// Who has come in by this port, whichever worker it came to. Locked for a handshake, never for a packet.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    callers: usize,
    addresses: HashMap<IpAddr, Address>,
    /// With so many addresses it is time to forget some.
    addresses_max: usize,
}

#[derive(Debug)]
struct Address {
    callers: usize,
    /// When the handshakes so far would have been over, had they come at the greatest rate.
    paid_until: Instant,
}

/// A caller's place: from its request to the end of its session.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    network: IpAddr,
}

impl Gate {
    pub(super) fn limit(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    /// A place for a caller of this address, while there is one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Arc<Place>, Refusal> {
        let network = network(address);
        self.lock().enter(network, now)?;
        Ok(Arc::new(Place { gate: self.clone(), network }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.callers -= 1;
        if let Some(address) = state.addresses.get_mut(&self.network) {
            address.callers -= 1;
        }
    }
}

impl State {
    fn enter(&mut self, network: IpAddr, now: Instant) -> Result<(), Refusal> {
        if self.addresses.len() >= self.addresses_max.max(ADDRESSES_MAX) {
            self.forget(now);
        }
        let Limits { sessions_max, sessions_per_address_max, handshakes_per_second_max } = self.limits;
        let address = self.addresses.entry(network).or_insert(Address { callers: 0, paid_until: now });
        let paid_until =
            address.paid_until.max(now) + Duration::from_secs(1) / handshakes_per_second_max.max(1);
        if paid_until.saturating_duration_since(now) > HANDSHAKE_WINDOW {
            return Err(refusal(format!(
                "{network} shakes hands more than {handshakes_per_second_max} times a second (handshakes_per_second_max)"
            )));
        }
        address.paid_until = paid_until;
        if address.callers >= sessions_per_address_max {
            return Err(refusal(format!(
                "{network} has {} sessions, and sessions_per_address_max is {sessions_per_address_max}",
                address.callers
            )));
        }
        if self.callers >= sessions_max {
            return Err(refusal(format!(
                "there are {} sessions, and sessions_max is {sessions_max}",
                self.callers
            )));
        }
        address.callers += 1;
        self.callers += 1;
        Ok(())
    }

    /// Forgets addresses without a session: those that have been quiet, and if that does not help, all of them.
    fn forget(&mut self, now: Instant) {
        self.addresses.retain(|_, address| address.callers > 0 || address.paid_until > now);
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, address| address.callers > 0);
        }
        // What is left has sessions: looked at again when it has doubled.
        self.addresses_max = 2 * self.addresses.len();
    }
}

fn refusal(why: String) -> Refusal {
    Refusal::new(Reason::Overload, why)
}

/// What counts as one address: who has one IPv6 address has its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// Handshakes may come together, as many as the rate allows in this time: a machine with many callers starts.
const HANDSHAKE_WINDOW: Duration = Duration::from_secs(10);

/// Addresses without a session that are remembered at most: a megabyte.
const ADDRESSES_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: Limits) -> (Arc<Gate>, Instant) {
        let gate = Arc::new(Gate::default());
        gate.limit(limits);
        (gate, Instant::now())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_has_gone() {
        let (gate, now) = gate(Limits { sessions_max: 2, sessions_per_address_max: 1, ..Limits::default() });
        let first = gate.enter(address("192.0.2.1"), now).expect("room");
        assert!(
            gate.enter(address("::ffff:192.0.2.1"), now)
                .is_err_and(|refusal| refusal.reason == Reason::Overload)
        );
        let second = gate.enter(address("2001:db8::1"), now).expect("room");
        assert!(
            gate.enter(address("192.0.2.3"), now).is_err_and(|refusal| refusal.why.contains("sessions_max"))
        );
        drop(second);
        let _third = gate.enter(address("2001:db8::2"), now).expect("room");
        assert!(gate.enter(address("2001:db8::ffff"), now).is_err());
        drop(first);
        assert!(gate.enter(address("192.0.2.1"), now).is_ok());
    }

    #[test]
    fn an_address_that_asks_too_often_is_held_to_the_rate_and_no_other_is() {
        let limits = Limits { handshakes_per_second_max: 5, ..Limits::default() };
        let (gate, start) = gate(limits);
        let admitted = |from: &str, at| (0..1_000).filter(|_| gate.enter(address(from), at).is_ok()).count();
        assert_eq!(admitted("192.0.2.1", start), 50);
        assert_eq!(admitted("192.0.2.1", start + Duration::from_secs(2)), 10);
        assert_eq!(admitted("192.0.2.2", start + Duration::from_secs(2)), 50);
        assert_eq!(admitted("192.0.2.1", start + Duration::from_secs(60)), 50);
    }

    #[test]
    fn what_is_remembered_of_addresses_is_bounded() {
        let (gate, now) = gate(Limits::default());
        let held = gate.enter(address("192.0.2.1"), now).expect("room");
        for n in 0..100_000 {
            drop(gate.enter(IpAddr::V4((0x0a00_0000 + n).into()), now));
        }
        let state = gate.lock();
        assert!(state.addresses.len() <= ADDRESSES_MAX, "{} addresses", state.addresses.len());
        assert_eq!((state.callers, state.addresses[&address("192.0.2.1")].callers), (1, 1));
        drop(state);
        drop(held);
    }
}
