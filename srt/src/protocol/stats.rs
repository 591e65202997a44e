//! What a session counts, under the names that libsrt's users know (`docs/API/statistics.md` of libsrt 1.5).

use std::time::Duration;

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// Totals since the session began.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Counters {
            /// Each total with libsrt's name for it.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, self.$field)),*].into_iter()
            }

            /// How much the totals have grown since they were `before`.
            pub fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(before.$field)),* }
            }

            /// Adds another session's totals.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counters! {
    /// Data packets sent, retransmissions included.
    pkt_sent = "pktSent",
    /// Data packets received, retransmitted ones and duplicates included.
    pkt_recv = "pktRecv",
    /// Data packets sent for the first time.
    pkt_sent_unique = "pktSentUnique",
    /// Data packets received that were not here before.
    pkt_recv_unique = "pktRecvUnique",
    /// Packets that the peer reported missing.
    pkt_snd_loss = "pktSndLoss",
    /// Packets found missing on arrival of a later one.
    pkt_rcv_loss = "pktRcvLoss",
    /// Packets sent again.
    pkt_retrans = "pktRetrans",
    /// Packets received that were marked as sent again.
    pkt_rcv_retrans = "pktRcvRetrans",
    /// ACK packets sent.
    pkt_sent_ack = "pktSentACK",
    /// ACK packets received.
    pkt_recv_ack = "pktRecvACK",
    /// NAK packets sent.
    pkt_sent_nak = "pktSentNAK",
    /// NAK packets received.
    pkt_recv_nak = "pktRecvNAK",
    /// Packets not sent (again) because they were too late.
    pkt_snd_drop = "pktSndDrop",
    /// Packets that never came, or too late to play.
    pkt_rcv_drop = "pktRcvDrop",
    /// Packets that came after their time.
    pkt_rcv_belated = "pktRcvBelated",
    /// Packets that could not be decrypted.
    pkt_rcv_undecrypt = "pktRcvUndecrypt",
    /// Bytes sent, SRT, UDP and IP headers included.
    byte_sent = "byteSent",
    /// Bytes received, SRT, UDP and IP headers included.
    byte_recv = "byteRecv",
    /// Bytes of retransmitted packets, headers included.
    byte_retrans = "byteRetrans",
    /// Datagrams of this session that made no sense, and claims that cannot be true.
    pkt_rcv_invalid = "pktRcvInvalid",
}

impl Stats {
    /// What is of this moment, with libsrt's name for it: milliseconds, megabits a second, packets.
    pub fn instant(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        [
            ("msTimeStamp", ms(self.age)),
            ("msRTT", ms(self.rtt)),
            ("mbpsSendRate", self.send_bps as f64 / 1e6),
            ("mbpsRecvRate", self.receive_bps as f64 / 1e6),
            ("pktFlightSize", self.flight as f64),
            ("pktRcvBuf", self.receive_held as f64),
            ("msRcvTsbPdDelay", ms(self.receive_latency)),
            ("msSndTsbPdDelay", ms(self.send_latency)),
        ]
        .into_iter()
    }
}

/// A session as it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Totals.
    pub total: Counters,
    /// `msTimeStamp`: the session's age.
    pub age: Duration,
    /// `msRTT`.
    pub rtt: Duration,
    /// `mbpsSendRate`, over the last second, in bits a second.
    pub send_bps: u64,
    /// `mbpsRecvRate`, over the last second, in bits a second.
    pub receive_bps: u64,
    /// `pktFlightSize`: packets sent and not acknowledged.
    pub flight: usize,
    /// `pktRcvBuf`: packets that wait for their time.
    pub receive_held: usize,
    /// `msRcvTsbPdDelay`: the latency agreed for what we receive.
    pub receive_latency: Duration,
    /// `msSndTsbPdDelay`: the latency agreed for what we send.
    pub send_latency: Duration,
}
