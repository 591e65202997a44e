//! The cookie, by which a listener tells a caller at its own address from one at a forged one, keeping nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a listener's cookies are made with. Made anew at every start, it leaves callers of the old process to begin anew.
#[derive(Clone)]
pub struct CookieSecret([u8; 32]);

impl CookieSecret {
    /// A random secret.
    pub fn random() -> Self {
        let mut secret = [0; 32];
        rand::fill(&mut secret);
        Self(secret)
    }

    /// The secret of these bytes: for listeners that share a port, or for a repeatable test.
    pub const fn from_bytes(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The cookie of a peer in a minute of the listener's clock.
    pub fn cookie(&self, peer: SocketAddr, minute: u64) -> u32 {
        let address = match peer.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        // The secret goes first and the rest is of fixed length; with all but 32 bits of the digest kept back, nothing
        // can be appended to it.
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(address.octets())
            .chain_update(peer.port().to_be_bytes())
            .chain_update(minute.to_be_bytes())
            .finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// Whether a cookie is the peer's of this minute or of the one before.
    pub fn accepts(&self, cookie: u32, peer: SocketAddr, minute: u64) -> bool {
        let now = self.cookie(peer, minute).ct_eq(&cookie);
        let before = self.cookie(peer, minute.wrapping_sub(1)).ct_eq(&cookie);
        (now | before).into()
    }
}

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_cookie_holds_for_this_minute_and_the_next() {
        let secret = CookieSecret::from_bytes([7; 32]);
        let cookie = secret.cookie(peer(5000), 100);
        assert!(secret.accepts(cookie, peer(5000), 100));
        assert!(secret.accepts(cookie, peer(5000), 101));
        assert!(!secret.accepts(cookie, peer(5000), 102));
        assert!(!secret.accepts(cookie, peer(5000), 99));
    }

    #[test]
    fn a_cookie_is_its_owners_alone() {
        let secret = CookieSecret::from_bytes([7; 32]);
        let cookie = secret.cookie(peer(5000), 100);
        assert!(!secret.accepts(cookie, peer(5001), 100));
        assert!(!CookieSecret::from_bytes([8; 32]).accepts(cookie, peer(5000), 100));
    }
}
