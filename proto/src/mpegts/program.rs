//! PAT and PMT: which programmes there are, and what the one we follow is made of (ISO/IEC 13818-1, 2.4.4.3
//! and 2.4.4.8).
//!
//! Of several programmes the one followed is the first of the PAT that has picture or sound. Once it is chosen
//! it stays until the PAT drops it or it has neither any more.

use flambeau_media::program::{ElementaryStream, Program};
use flambeau_media::track::Language;

use super::NULL_PID;
use super::psi::{Assembler, Section, SectionError};
use super::stream::{self, Descriptors, Kind};

/// The most programmes watched; a PAT of a whole satellite transponder has about 30.
const PROGRAMS_MAX: usize = 64;

const PAT_PID: u16 = 0;
const PAT_TABLE: u8 = 0;
const PMT_TABLE: u8 = 2;

/// An entry of a PMT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its PID.
    pub pid: u16,
    /// `stream_type`.
    pub stream_type: u8,
    /// What is done with it.
    pub kind: Kind,
    /// What it is, as an operator knows it.
    pub label: String,
    /// Its language.
    pub language: Option<Language>,
}

/// A PMT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pmt {
    /// `program_number`.
    pub number: u16,
    /// `PCR_PID`; 0x1FFF where the programme has no clock.
    pub pcr_pid: u16,
    /// The elementary streams, each PID once.
    pub streams: Vec<Stream>,
}

impl Pmt {
    /// Reads a section's content.
    ///
    /// # Errors
    /// [`SectionError::Malformed`] when it is another table or its fields do not fit.
    pub fn parse(section: &Section<'_>) -> Result<Self, SectionError> {
        if section.table != PMT_TABLE {
            return Err(SectionError::Malformed);
        }
        let (&[a, b, c, d], rest) = section.body.split_first_chunk().ok_or(SectionError::Malformed)?;
        let info = usize::from(c & 0x0f) << 8 | usize::from(d);
        let (info, mut rest) = rest.split_at_checked(info).ok_or(SectionError::Malformed)?;
        // SCTE 35 8.1: the program's registration says that it carries splice information.
        let splices = Descriptors(info).any(|(tag, content)| tag == 0x05 && content.starts_with(b"CUEI"));
        let mut streams: Vec<Stream> = Vec::new();
        while let Some((&[stream_type, e, f, g, h], after)) = rest.split_first_chunk() {
            let info = usize::from(g & 0x0f) << 8 | usize::from(h);
            let (info, after) = after.split_at_checked(info).ok_or(SectionError::Malformed)?;
            rest = after;
            let pid = u16::from(e & 0x1f) << 8 | u16::from(f);
            if streams.iter().all(|stream| stream.pid != pid) {
                let (kind, label, language) = stream::identify(stream_type, info, splices);
                streams.push(Stream { pid, stream_type, kind, label, language });
            }
        }
        let pcr_pid = u16::from(a & 0x1f) << 8 | u16::from(b);
        Ok(Self { number: section.extension, pcr_pid, streams })
    }

    /// The PID of the first stream of pictures.
    pub fn video(&self) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.kind.is_video())
    }

    fn is_of_use(&self) -> bool {
        self.streams.iter().any(|stream| stream.kind.is_audio_or_video())
    }

    /// The Feed's description.
    pub fn describe(&self, pmt_pid: u16) -> Program {
        let stream = |stream: &Stream| ElementaryStream {
            pid: stream.pid,
            stream_type: stream.stream_type,
            label: stream.label.clone(),
            language: stream.language.map(|language| language.to_string()),
            packaged: stream.kind.is_packaged(),
        };
        let streams = self.streams.iter().map(stream).collect();
        Program { number: self.number, pmt_pid, pcr_pid: self.pcr_pid, streams }
    }
}

/// A programme that the PAT lists.
#[derive(Debug)]
struct Entry {
    number: u16,
    pid: u16,
    pmt: Option<Pmt>,
    /// The section it was read from.
    section: Vec<u8>,
    /// Times its PMT came.
    seen: u8,
}

/// The PAT in the making.
#[derive(Debug, Default)]
struct Pat {
    version: u8,
    /// The parts that came, by section number.
    parts: Vec<Option<Vec<(u16, u16)>>>,
    /// The sections of the PAT in force, as they came.
    sections: Vec<Vec<u8>>,
}

/// What a packet's tables changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The PIDs that carry tables are others now.
    pub pids: bool,
    /// The programme followed, or its PMT, is another now.
    pub program: bool,
}

/// Follows a stream's PAT and PMTs.
#[derive(Debug, Default)]
pub struct Tracker {
    /// One for each PID that carries tables.
    assemblers: Vec<(u16, Assembler)>,
    pat: Pat,
    entries: Vec<Entry>,
    /// The programme followed, by its number.
    chosen: Option<u16>,
    crc_errors: u64,
    malformed: u64,
}

impl Tracker {
    /// One that knows no table yet.
    pub fn new() -> Self {
        Self { assemblers: vec![(PAT_PID, Assembler::default())], ..Self::default() }
    }

    /// The PIDs that carry tables.
    pub fn pids(&self) -> impl Iterator<Item = u16> + '_ {
        self.assemblers.iter().map(|&(pid, _)| pid)
    }

    /// Takes a packet's payload.
    pub fn push(&mut self, pid: u16, payload: &[u8], unit_start: bool) -> Change {
        let mut change = Change::default();
        let Some(mut assembler) = self.assembler(pid).map(std::mem::take) else { return change };
        assembler.push(payload, unit_start, &mut |section| self.section(pid, section, &mut change));
        // A new PAT may have dropped the PID meanwhile.
        if let Some(slot) = self.assembler(pid) {
            *slot = assembler;
        }
        change
    }

    fn assembler(&mut self, pid: u16) -> Option<&mut Assembler> {
        self.assemblers.iter_mut().find(|(known, _)| *known == pid).map(|(_, assembler)| assembler)
    }

    /// Packets of this PID are missing.
    pub fn lose(&mut self, pid: u16) {
        if let Some(assembler) = self.assembler(pid) {
            assembler.reset();
        }
    }

    /// Packets of any PID are missing.
    pub fn lose_all(&mut self) {
        self.assemblers.iter_mut().for_each(|(_, assembler)| assembler.reset());
    }

    /// The programme followed: its PMT, and the PID of that.
    pub fn program(&self) -> Option<(&Pmt, u16)> {
        let entry = self.entries.iter().find(|entry| Some(entry.number) == self.chosen)?;
        Some((entry.pmt.as_ref()?, entry.pid))
    }

    /// Sections whose CRC did not hold.
    pub fn crc_errors(&self) -> u64 {
        self.crc_errors
    }

    /// Sections whose fields did not fit.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    fn section(&mut self, pid: u16, data: &[u8], change: &mut Change) {
        // The same table comes again ten times a second: those are told without reading them.
        if pid == PAT_PID && self.pat.sections.iter().any(|known| known == data) {
            return;
        }
        if pid != PAT_PID && self.repeats(pid, data) {
            change.program |= self.choose();
            return;
        }
        match Section::parse(data) {
            // 2.4.4.5: the next table is announced; the current one holds.
            Ok(section) if !section.current => {}
            Ok(section) if pid == PAT_PID => self.pat_section(&section, data, change),
            Ok(section) => change.program |= self.pmt_section(pid, &section, data),
            Err(SectionError::Crc) => self.crc_errors += 1,
            // A private section of the short syntax may share a PID.
            Err(SectionError::Malformed) => {}
        }
    }

    fn repeats(&mut self, pid: u16, data: &[u8]) -> bool {
        let known = self.entries.iter_mut().find(|entry| entry.pid == pid && entry.section == data);
        known.map(|entry| entry.seen = entry.seen.saturating_add(1)).is_some()
    }

    fn pmt_section(&mut self, pid: u16, section: &Section<'_>, data: &[u8]) -> bool {
        if section.table != PMT_TABLE {
            return false;
        }
        let wanted = |entry: &&mut Entry| entry.pid == pid && entry.number == section.extension;
        let Some(entry) = self.entries.iter_mut().find(wanted) else { return false };
        match Pmt::parse(section) {
            Ok(pmt) => {
                let changed = entry.pmt.as_ref() != Some(&pmt);
                entry.section = data.to_vec();
                entry.seen = entry.seen.saturating_add(1);
                entry.pmt = Some(pmt);
                let followed = self.chosen == Some(section.extension);
                self.choose() || (followed && changed)
            }
            Err(_) => {
                self.malformed += 1;
                false
            }
        }
    }

    fn pat_section(&mut self, section: &Section<'_>, data: &[u8], change: &mut Change) {
        if section.table != PAT_TABLE || section.number > section.last {
            return;
        }
        let count = usize::from(section.last) + 1;
        let pat = &mut self.pat;
        // A part that came already differs now: another table, be it under the same version.
        let renewed = pat.parts.get(usize::from(section.number)).is_none_or(Option::is_some);
        if renewed || pat.version != section.version || pat.parts.len() != count {
            *pat = Pat { version: section.version, parts: vec![None; count], sections: Vec::new() };
        }
        let programs = section.body.chunks_exact(4).map(|entry| {
            (u16::from_be_bytes([entry[0], entry[1]]), u16::from(entry[2] & 0x1f) << 8 | u16::from(entry[3]))
        });
        // 2.4.4.5: program number 0 is the network PID.
        let part =
            programs.filter(|&(number, pid)| number != 0 && pid != PAT_PID && pid != NULL_PID).collect();
        pat.parts[usize::from(section.number)] = Some(part);
        pat.sections.push(data.to_vec());
        if pat.parts.iter().any(Option::is_none) {
            return;
        }
        let programs: Vec<_> = pat.parts.iter().flatten().flatten().copied().take(PROGRAMS_MAX).collect();
        change.program |= self.adopt(&programs);
        change.pids = true;
    }

    /// Watches the programmes of a new PAT, keeping what is known of those that stay.
    fn adopt(&mut self, programs: &[(u16, u16)]) -> bool {
        let before = self.program().map(|(_, pid)| (self.chosen, pid));
        let mut known = std::mem::take(&mut self.entries);
        for &(number, pid) in programs {
            if self.entries.iter().any(|entry| entry.number == number) {
                continue;
            }
            let index = known.iter().position(|entry| (entry.number, entry.pid) == (number, pid));
            let entry = index.map(|index| known.swap_remove(index));
            let fresh = || Entry { number, pid, pmt: None, section: Vec::new(), seen: 0 };
            self.entries.push(entry.unwrap_or_else(fresh));
        }
        let entries = &self.entries;
        self.assemblers.retain(|&(pid, _)| pid == PAT_PID || entries.iter().any(|entry| entry.pid == pid));
        for entry in entries {
            if self.assemblers.iter().all(|&(pid, _)| pid != entry.pid) {
                self.assemblers.push((entry.pid, Assembler::default()));
            }
        }
        let chosen = self.choose();
        chosen || (before.is_some() && self.program().map(|(_, pid)| (self.chosen, pid)) != before)
    }

    /// Settles which programme is followed; whether that is another one now.
    ///
    /// The first one of use is taken as soon as those before it are known, or it came twice while they did not.
    fn choose(&mut self) -> bool {
        let stays = |entry: &Entry| {
            Some(entry.number) == self.chosen && entry.pmt.as_ref().is_some_and(Pmt::is_of_use)
        };
        if self.entries.iter().any(stays) {
            return false;
        }
        let mut unknown_before = false;
        let mut chosen = None;
        for entry in &self.entries {
            match &entry.pmt {
                Some(pmt) if pmt.is_of_use() && (!unknown_before || entry.seen >= 2) => {
                    chosen = Some(entry.number);
                    break;
                }
                Some(_) => {}
                None => unknown_before = true,
            }
        }
        let changed = chosen.is_some() && chosen != self.chosen;
        if chosen.is_some() {
            self.chosen = chosen;
        }
        changed
    }
}

#[cfg(test)]
mod tests;
