//! The ring itself: chunks in order of position, and the random access points among them.

use std::collections::{VecDeque, vec_deque};
use std::time::Instant;

use bytes::Bytes;

use super::{History, Incoming, Lagged};
use crate::time::Utc;

/// Random access points remembered; the oldest go first. At two a second this is a minute.
const RANDOM_ACCESS_POINTS_MAX: usize = 128;

/// TS packets that arrived together.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Position of the first byte.
    pub position: u64,
    /// Whole TS packets.
    pub data: Bytes,
    /// When the source's clock released them.
    pub time: Instant,
    /// The same instant of UTC.
    pub utc: Utc,
    /// Bytes are missing before these.
    pub discontinuity: bool,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.position + self.data.len() as u64
    }
}

/// Totals of a Feed's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingStats {
    /// Bytes ever written.
    pub bytes_total: u64,
    /// Bytes held now.
    pub bytes_held: u64,
    /// Chunks held now.
    pub chunks_held: usize,
    /// Times that bytes were missing.
    pub discontinuities_total: u64,
}

/// A place in the ring that moves as it is read.
#[derive(Debug)]
pub struct Reader<'a> {
    chunks: vec_deque::Iter<'a, Chunk>,
    current: Option<&'a Chunk>,
    /// Bytes of the current chunk that are behind us.
    from: usize,
}

impl Reader<'_> {
    /// Nothing more is there.
    pub fn is_at_head(&self) -> bool {
        self.current.is_none()
    }

    /// Copies up to `into.len()` bytes and moves on. Returns how many there were, and when the first of them was
    /// released; none at the head.
    pub fn read(&mut self, into: &mut [u8]) -> Option<(usize, Instant)> {
        let time = self.current?.time;
        let mut copied = 0;
        while let Some(chunk) = self.current
            && copied < into.len()
        {
            let count = (chunk.data.len() - self.from).min(into.len() - copied);
            into[copied..copied + count].copy_from_slice(&chunk.data[self.from..self.from + count]);
            copied += count;
            self.from += count;
            if self.from == chunk.data.len() {
                (self.current, self.from) = (self.chunks.next(), 0);
            }
        }
        Some((copied, time))
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    history: History,
    chunks: VecDeque<Chunk>,
    head: u64,
    random_access: VecDeque<u64>,
    discontinuity_next: bool,
    discontinuities: u64,
}

impl Ring {
    pub(super) fn new(history: History) -> Self {
        Self {
            history,
            chunks: VecDeque::new(),
            head: 0,
            random_access: VecDeque::new(),
            discontinuity_next: false,
            discontinuities: 0,
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn tail(&self) -> u64 {
        self.chunks.front().map_or(self.head, |chunk| chunk.position)
    }

    pub(super) fn stats(&self) -> RingStats {
        RingStats {
            bytes_total: self.head,
            bytes_held: self.head - self.tail(),
            chunks_held: self.chunks.len(),
            discontinuities_total: self.discontinuities,
        }
    }

    /// The next bytes do not follow the last ones.
    pub(super) fn mark_discontinuity(&mut self) {
        self.discontinuity_next = self.head > 0;
    }

    /// Appends in order, drops what the history does not cover, and returns the new head.
    pub(super) fn append(&mut self, batch: &mut Vec<Incoming>) -> u64 {
        for incoming in batch.drain(..) {
            let discontinuity = incoming.discontinuity | std::mem::take(&mut self.discontinuity_next);
            self.discontinuities += u64::from(discontinuity);
            if let Some(point) = incoming.random_access {
                if self.random_access.len() == RANDOM_ACCESS_POINTS_MAX {
                    self.random_access.pop_front();
                }
                self.random_access.push_back(point);
            }
            let (position, data) = (self.head, incoming.data);
            self.head += data.len() as u64;
            self.chunks.push_back(Chunk {
                position,
                data,
                time: incoming.time,
                utc: incoming.utc,
                discontinuity,
            });
        }
        self.evict();
        self.head
    }

    fn evict(&mut self) {
        let Some(newest) = self.chunks.back().map(|chunk| chunk.time) else { return };
        let History { bytes_max, age_max } = self.history;
        while let Some(oldest) = self.chunks.front() {
            let bytes_held = self.head - oldest.position;
            let age = newest.saturating_duration_since(oldest.time);
            if self.chunks.len() == 1 || (bytes_held <= bytes_max as u64 && age <= age_max) {
                break;
            }
            self.chunks.pop_front();
        }
        let tail = self.tail();
        while self.random_access.front().is_some_and(|&point| point < tail) {
            self.random_access.pop_front();
        }
    }

    /// Index of the chunk that holds `position`, which must be in `[tail, head)`.
    fn index_of(&self, position: u64) -> usize {
        // Most readers are a burst behind the head: look there first, in steps that grow fourfold.
        let (len, mut step) = (self.chunks.len(), 8);
        let mut low = len.saturating_sub(step);
        while low > 0 && self.chunks[low].position > position {
            step *= 4;
            low = len.saturating_sub(step);
        }
        let (mut from, mut to) = (low, len);
        while from < to {
            let middle = from.midpoint(to);
            if self.chunks[middle].end() <= position { from = middle + 1 } else { to = middle }
        }
        from
    }

    pub(super) fn reader(&self, position: u64) -> Result<Reader<'_>, Lagged> {
        self.check(position)?;
        let index = self.index_of(position);
        let mut chunks = self.chunks.range(index..);
        let current = chunks.next();
        let from = current.map_or(0, |chunk| (position - chunk.position) as usize);
        Ok(Reader { chunks, current, from })
    }

    fn check(&self, position: u64) -> Result<(), Lagged> {
        let tail = self.tail();
        if position < tail { Err(Lagged { bytes_skipped: tail - position }) } else { Ok(()) }
    }

    pub(super) fn copy(&self, position: u64, into: &mut [u8]) -> Result<usize, Lagged> {
        self.check(position)?;
        let mut copied = 0;
        for chunk in self.chunks.range(self.index_of(position)..) {
            let from = (position + copied as u64 - chunk.position) as usize;
            let count = (chunk.data.len() - from).min(into.len() - copied);
            into[copied..copied + count].copy_from_slice(&chunk.data[from..from + count]);
            copied += count;
            if copied == into.len() {
                break;
            }
        }
        Ok(copied)
    }

    pub(super) fn arrival(&self, position: u64) -> Option<(Instant, usize)> {
        if position < self.tail() {
            return None;
        }
        let chunk = self.chunks.get(self.index_of(position))?;
        Some((chunk.time, (chunk.end() - position) as usize))
    }

    /// The chunk at `position`, cut so that it starts there.
    pub(super) fn chunk_at(&self, position: u64) -> Result<Option<Chunk>, Lagged> {
        self.check(position)?;
        Ok(self.chunks.get(self.index_of(position)).map(|chunk| {
            let from = (position - chunk.position) as usize;
            Chunk {
                position,
                data: chunk.data.slice(from..),
                discontinuity: chunk.discontinuity && from == 0,
                ..*chunk
            }
        }))
    }

    pub(super) fn random_access_since(&self, position: u64) -> Option<u64> {
        self.random_access.back().copied().filter(|&point| point >= position)
    }
}
