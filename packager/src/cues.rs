//! What the venue's SCTE-35 says: the same for HLS, for the Manifest and within the media.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::Utc;
use flambeau_media::time::CLOCK_90K;
use flambeau_proto::isobmff::EventMessage;
use flambeau_proto::m3u8::{DateRange, Scte35};
use flambeau_proto::mpd;
use flambeau_proto::scte35::{Command, Splice};

/// Most cues kept, whatever their times say.
const CUES_MAX: usize = 128;

/// One splice command, at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cue {
    id: u32,
    /// In 90 kHz ticks of UTC.
    time: i64,
    /// How long it is to last, in ticks.
    duration: Option<u64>,
    role: Role,
    section: Bytes,
}

/// What a cue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Out of the network, in that `splice_event_id`.
    Out(u32),
    /// Back into it.
    In { event: u32, out: Option<(u32, i64)> },
    /// Something else.
    Command,
}

/// The cues of the window, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Cues(VecDeque<Cue>);

impl Cues {
    /// Takes in a section whose command takes effect at `time`, in 90 kHz ticks of UTC. None: it says nothing, or was
    /// told before; a section is repeated ahead of its time, for those who join.
    pub(crate) fn take(&mut self, section: &Bytes, time: i64) -> Option<EventMessage> {
        let splice = Splice::parse(section).ok()?;
        let (role, duration) = match splice.command {
            Command::Null => return None,
            Command::Insert { event, cancelled: false, out_of_network: true, duration, .. } => {
                (Role::Out(event), duration)
            }
            Command::Insert { event, cancelled: false, out_of_network: false, .. } => {
                (Role::In { event, out: self.out(event) }, None)
            }
            _ => (Role::Command, None),
        };
        let told = |cue: &Cue| match (cue.role, role) {
            (Role::Out(a), Role::Out(b)) => a == b && cue.time == time || cue.section == *section,
            _ => cue.section == *section,
        };
        if self.0.iter().any(told) {
            return None;
        }
        let id = fingerprint(section, time);
        let cue = Cue { id, time, duration, role, section: section.clone() };
        let message = cue.message();
        self.0.push_back(cue);
        if self.0.len() > CUES_MAX {
            self.0.pop_front();
        }
        Some(message)
    }

    /// The way out that this event comes back from.
    fn out(&self, event: u32) -> Option<(u32, i64)> {
        let mut outs = self.0.iter().rev().filter(|cue| cue.role == Role::Out(event));
        outs.next().map(|cue| (cue.id, cue.time))
    }

    /// Forgets what was over before `start`. Cues that speak of the same break go together.
    pub(crate) fn forget_before(&mut self, start: Utc) {
        let start = start.ticks(CLOCK_90K);
        while let Some(first) = self.0.front() {
            let back = self
                .0
                .iter()
                .find(|cue| matches!(cue.role, Role::In { out: Some((id, _)), .. } if id == first.id));
            let planned = first.time + first.duration.unwrap_or(0) as i64;
            if back.map_or(planned, |back| back.time) >= start {
                break;
            }
            self.0.pop_front();
        }
    }

    /// As HLS tells them.
    pub(crate) fn date_ranges(&self) -> Vec<DateRange> {
        self.0.iter().map(Cue::date_range).collect()
    }

    /// As DASH tells those between two times, in 90 kHz ticks of UTC.
    pub(crate) fn events(&self, from: i64, until: Option<i64>) -> Vec<mpd::Event> {
        let within = |cue: &&Cue| cue.time >= from && until.is_none_or(|until| cue.time < until);
        self.0.iter().filter(within).map(Cue::event).collect()
    }
}

impl Cue {
    fn utc(&self) -> Utc {
        Utc::from_ticks(self.time, CLOCK_90K)
    }

    // RFC 8216bis 4.4.5.1.2: the way out and the way back are tags of one ID, which agree in what both say.
    fn date_range(&self) -> DateRange {
        let section = self.section.clone();
        let id = |id: u32| format!("scte35-{id:08x}");
        match self.role {
            Role::Out(_) => DateRange {
                id: id(self.id),
                start: self.utc(),
                duration: None,
                planned: self.duration.map(seconds),
                scte35: Some(Scte35::Out(section)),
            },
            Role::In { out: Some((out, since)), .. } => DateRange {
                id: id(out),
                start: Utc::from_ticks(since, CLOCK_90K),
                duration: Some(seconds((self.time - since).max(0) as u64)),
                planned: None,
                scte35: Some(Scte35::In(section)),
            },
            Role::In { out: None, .. } => DateRange {
                id: id(self.id),
                start: self.utc(),
                scte35: Some(Scte35::In(section)),
                ..DateRange::default()
            },
            Role::Command => DateRange {
                id: id(self.id),
                start: self.utc(),
                scte35: Some(Scte35::Command(section)),
                ..DateRange::default()
            },
        }
    }

    fn event(&self) -> mpd::Event {
        let duration = self.duration.map(seconds);
        mpd::Event { id: self.id, time: self.utc(), duration, section: self.section.clone() }
    }

    fn message(&self) -> EventMessage {
        EventMessage {
            id: self.id,
            timescale: CLOCK_90K,
            time: self.time.max(0) as u64,
            duration: self.duration.and_then(|ticks| u32::try_from(ticks).ok()),
            section: self.section.clone(),
        }
    }
}

/// A length of 90 kHz ticks, to the microsecond.
fn seconds(ticks: u64) -> Duration {
    Duration::from_micros(ticks * 100 / 9)
}

/// FNV-1a of 32 bits: a cue is named by what it says and when, so that whoever packages the same stream names it alike.
fn fingerprint(section: &[u8], time: i64) -> u32 {
    let bytes = section.iter().copied().chain(time.to_be_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
