//! How many connections there may be, in total and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Admission {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Total,
    PerAddress,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// A place for a connection, within `total_max` and `per_address_max` as they are now.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        total_max: usize,
        per_address_max: usize,
    ) -> Result<Permit, Refused> {
        let address = subscriber(address);
        let mut open = self.lock();
        if open.total >= total_max {
            return Err(Refused::Total);
        }
        let from_there = open.by_address.get(&address).copied().unwrap_or_default();
        if from_there >= per_address_max {
            return Err(Refused::PerAddress);
        }
        open.by_address.insert(address, from_there + 1);
        open.total += 1;
        Ok(Permit { admission: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// What stands for one client: an IPv4 address, or the /64 of an IPv6 one, since a host has all of that (RFC 4291 2.5.4).
pub(super) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_place_is_free_again_once_its_permit_is_dropped() {
        let admission = Arc::new(Admission::default());
        let admit = |address| admission.admit(ip(address), 3, 2);
        let first = admit("192.0.2.1").expect("room");
        let _second = admit("::ffff:192.0.2.1").expect("room");
        assert_eq!(admit("192.0.2.1").err(), Some(Refused::PerAddress));
        let _third = admit("2001:db8::1").expect("room");
        assert_eq!(admit("192.0.2.9").err(), Some(Refused::Total));
        drop(first);
        assert!(admit("192.0.2.1").is_ok());
    }

    #[test]
    fn one_ipv6_host_cannot_pose_as_many() {
        let admission = Arc::new(Admission::default());
        let _first = admission.admit(ip("2001:db8:1:2::1"), 10, 1).expect("room");
        let second = admission.admit(ip("2001:db8:1:2:ffff::2"), 10, 1);
        assert_eq!(second.err(), Some(Refused::PerAddress));
        assert!(admission.admit(ip("2001:db8:1:3::1"), 10, 1).is_ok());
    }

    #[test]
    fn an_address_without_connections_is_forgotten() {
        let admission = Arc::new(Admission::default());
        drop(admission.admit(ip("192.0.2.1"), 10, 10));
        assert!(admission.lock().by_address.is_empty());
    }
}
