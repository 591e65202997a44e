//! What a client fetches next (RFC 8216bis 6.3): a pure decision on the Playlists it was given.

use std::time::Duration;

use super::playlist::{Error, Media, Piece, Segment};

/// Something to fetch and append.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// What; None where it is missing and announced to be.
    pub piece: Option<Piece>,
    /// Its init segment.
    pub map: Piece,
    /// How long it is.
    pub duration: Duration,
    /// It does not go on from what came before.
    pub discontinuity: bool,
    /// Seconds into it at which to start: for the first one alone.
    pub start: Option<f64>,
    /// Media was left out before it: it was no longer there, or it was too far behind.
    pub skipped: bool,
}

/// Follows one media Playlist.
#[derive(Debug)]
pub struct Follower {
    parts: bool,
    known: Option<Media>,
    /// The next Segment and Part to fetch.
    cursor: Option<(u64, usize)>,
    /// How much of the cursor's Segment was fetched.
    taken: Duration,
    /// An announced gap lies between what was fetched last and the cursor.
    gap: bool,
}

impl Follower {
    /// A client that plays Parts where there are some, or Segments alone.
    pub fn new(parts: bool) -> Self {
        Self { parts, known: None, cursor: None, taken: Duration::ZERO, gap: false }
    }

    /// What to ask for when the Playlist is loaded: its delivery directives (6.2.5), with the `?` before them.
    ///
    /// `fresh`: how old the last Playlist is.
    pub fn directives(&self, fresh: Duration) -> String {
        let Some(known) = self.known.as_ref().filter(|known| known.can_block && self.parts) else {
            return String::new();
        };
        let (sequence, part) = known.next();
        let part = if known.part_target.is_some() { format!("&_HLS_part={part}") } else { String::new() };
        // 6.3.7: only as long as what is left out is still known: half the skip boundary.
        let skip = known.can_skip_until.is_some_and(|until| fresh * 2 < until);
        let skip = if skip { "&_HLS_skip=YES" } else { "" };
        format!("?_HLS_msn={sequence}{part}{skip}")
    }

    /// The Playlist as it is known.
    pub fn known(&self) -> Option<&Media> {
        self.known.as_ref()
    }

    /// Takes in a Playlist; true when it has more than the one before.
    pub fn take(&mut self, text: &str) -> Result<bool, Error> {
        let mut media = Media::read(text)?;
        match &self.known {
            Some(before) => media.fill(before)?,
            None if media.skipped > 0 => return Err(Error::Delta),
            None => {}
        }
        let grown = self.known.as_ref().is_none_or(|before| media.next() > before.next() || media.ended);
        self.known = Some(media);
        Ok(grown)
    }

    /// Whether Parts are played.
    pub fn plays_parts(&self) -> bool {
        self.parts && self.known.as_ref().is_some_and(|known| known.part_target.is_some())
    }

    /// The Part that is announced, when it is the next to fetch.
    pub fn hint(&self) -> Option<&Piece> {
        let known = self.known.as_ref().filter(|_| self.plays_parts())?;
        let (sequence, part) = known.next();
        (self.cursor == Some((sequence, part as usize))).then_some(known.hint.as_ref())?
    }

    /// The init segment in force at the end of the Playlist.
    pub fn map(&self) -> Option<&Piece> {
        self.known.as_ref()?.segments.last().map(|last| &last.map)
    }

    /// The announced Part was fetched.
    pub fn took_hint(&mut self) {
        if let Some((_, part)) = &mut self.cursor {
            *part += 1;
            // How long it is is told by the Playlist to come: about this.
            self.taken += self.known.as_ref().and_then(|known| known.part_target).unwrap_or_default();
        }
    }

    /// The next thing to fetch that the Playlist names.
    pub fn advance(&mut self) -> Option<Fetch> {
        if self.cursor.is_none() {
            return self.first();
        }
        let known = self.known.as_ref()?;
        let (sequence, mut part) = self.cursor?;
        let mut skipped = false;
        let mut index = match sequence.checked_sub(known.sequence) {
            Some(index) => usize::try_from(index).ok()?,
            // It fell out of the window: on at the live edge.
            None => {
                let fetch = self.first()?;
                return Some(Fetch { skipped: true, ..fetch });
            }
        };
        let mut segment = known.segments.get(index)?;
        if part > 0
            && segment.duration.is_some()
            && part >= segment.parts.len().max(1)
            && !segment.parts.is_empty()
        {
            // The announced Part may have been the first of the next Segment: the end of this one is told with it.
            (index, part) = (index + 1, part - segment.parts.len());
            segment = known.segments.get(index)?;
            self.taken = known.part_target.unwrap_or_default() * part as u32;
        } else if part > 0 && segment.parts.is_empty() {
            // Its Parts are gone from the Playlist: what was not fetched of it is left out.
            let rest = segment.duration.unwrap_or_default().saturating_sub(self.taken);
            (index, part, skipped) = (index + 1, 0, rest * 2 > known.part_target.unwrap_or_default());
            segment = known.segments.get(index)?;
        }
        let parts = self.plays_parts() && !segment.parts.is_empty();
        let fetch = if parts { part_of(segment, part)? } else { whole(segment)? };
        let next = if parts { (index, part + 1) } else { (index + 1, 0) };
        let before = if part == 0 { Duration::ZERO } else { self.taken };
        self.taken = if parts { before + fetch.duration } else { Duration::ZERO };
        self.cursor = Some((known.sequence + next.0 as u64, next.1));
        let gap = std::mem::replace(&mut self.gap, fetch.piece.is_none());
        Some(Fetch { skipped, discontinuity: fetch.discontinuity || gap, ..fetch })
    }

    /// Where to start: at the hold-back from the end, from where decoding can start before it (6.3.3).
    fn first(&mut self) -> Option<Fetch> {
        let known = self.known.as_ref()?;
        let parts = self.plays_parts();
        let hold_back = match (parts, known.part_hold_back, known.ended) {
            (_, _, true) => Duration::MAX,
            (true, Some(part_hold_back), _) => part_hold_back,
            _ => known.hold_back,
        };
        let mut behind = Duration::ZERO;
        let mut chosen = None;
        'all: for (index, segment) in known.segments.iter().enumerate().rev() {
            if parts && !segment.parts.is_empty() {
                for (n, part) in segment.parts.iter().enumerate().rev() {
                    behind += part.duration;
                    if part.independent && !part.gap {
                        chosen = Some((index, n, behind));
                        if behind >= hold_back {
                            break 'all;
                        }
                    }
                }
            } else if let Some(duration) = segment.duration {
                behind += duration;
                if !segment.gap {
                    chosen = Some((index, 0, behind));
                    if behind >= hold_back {
                        break 'all;
                    }
                }
            }
        }
        let (index, part, behind) = chosen?;
        let segment = known.segments.get(index)?;
        let by_parts = parts && !segment.parts.is_empty();
        let fetch = if by_parts { part_of(segment, part)? } else { whole(segment)? };
        let next = if by_parts { (index, part + 1) } else { (index + 1, 0) };
        // What was there before the start counts as fetched: nobody misses it.
        let before = segment.parts.iter().take(part).map(|part| part.duration).sum::<Duration>();
        self.taken = before + fetch.duration;
        self.cursor = Some((known.sequence + next.0 as u64, next.1));
        Some(Fetch { start: Some(behind.saturating_sub(hold_back).as_secs_f64()), ..fetch })
    }
}

fn part_of(segment: &Segment, part: usize) -> Option<Fetch> {
    let found = segment.parts.get(part)?;
    Some(Fetch {
        piece: (!found.gap && !segment.gap).then(|| found.piece.clone()),
        map: segment.map.clone(),
        duration: found.duration,
        discontinuity: part == 0 && segment.discontinuity,
        start: None,
        skipped: false,
    })
}

fn whole(segment: &Segment) -> Option<Fetch> {
    Some(Fetch {
        piece: (!segment.gap).then(|| segment.piece.clone()),
        map: segment.map.clone(),
        duration: segment.duration?,
        discontinuity: segment.discontinuity,
        start: None,
        skipped: false,
    })
}

#[cfg(test)]
mod tests;
