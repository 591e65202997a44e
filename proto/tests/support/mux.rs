//! A small multiplexer: streams as they are on the air, but as no encoder at hand makes them.

use std::collections::HashMap;

use flambeau_proto::mpegts::psi::crc32;

/// Writes transport stream packets.
#[derive(Default)]
pub(crate) struct Mux {
    pub(crate) data: Vec<u8>,
    counters: HashMap<u16, u8>,
}

/// A PES packet to be written.
#[derive(Clone, Copy)]
pub(crate) struct Pes<'a> {
    pub(crate) pid: u16,
    /// 0xE0 for pictures, 0xC0 for sound.
    pub(crate) id: u8,
    /// 90 kHz.
    pub(crate) pts: Option<i64>,
    pub(crate) dts: Option<i64>,
    /// Its length is told.
    pub(crate) bounded: bool,
    /// PCR in the first packet, 90 kHz.
    pub(crate) pcr: Option<i64>,
    pub(crate) data: &'a [u8],
}

impl Mux {
    /// One program of streams as (type, PID, descriptors), on PMT PID 0x1000.
    pub(crate) fn program(&mut self, version: u8, pcr_pid: u16, streams: &[(u8, u16, &[u8])]) {
        let pat = [0, 1, 0xf0, 0];
        self.section(0, &section(0, 1, 0, &pat));
        let mut body = [(0xe000 | pcr_pid).to_be_bytes(), [0xf0, 0]].concat();
        for (stream_type, pid, descriptors) in streams {
            body.push(*stream_type);
            body.extend((0xe000 | pid).to_be_bytes());
            body.extend((0xf000 | u16::try_from(descriptors.len()).expect("few")).to_be_bytes());
            body.extend_from_slice(descriptors);
        }
        self.section(0x1000, &section(2, 1, version, &body));
    }

    pub(crate) fn section(&mut self, pid: u16, section: &[u8]) {
        let payload = [&[0], section].concat();
        for (index, piece) in payload.chunks(184).enumerate() {
            let mut padded = piece.to_vec();
            padded.resize(184, 0xff);
            self.packet(pid, index == 0, None, &padded);
        }
    }

    pub(crate) fn pes(&mut self, pes: Pes<'_>) {
        let stamp = |prefix: u8, value: i64| {
            let part = |shift: u32, bits: u32| (value >> shift & ((1 << bits) - 1)) as u8;
            [
                prefix << 4 | part(30, 3) << 1 | 1,
                part(22, 8),
                part(15, 7) << 1 | 1,
                part(7, 8),
                part(0, 7) << 1 | 1,
            ]
        };
        let mut fields = Vec::new();
        if let Some(pts) = pes.pts {
            fields.extend(stamp(if pes.dts.is_some() { 3 } else { 2 }, pts));
            fields.extend(pes.dts.map(|dts| stamp(1, dts)).into_iter().flatten());
        }
        let flags = u8::from(pes.pts.is_some()) << 7 | u8::from(pes.dts.is_some()) << 6;
        let len = 3 + fields.len() + pes.data.len();
        let len = if pes.bounded { u16::try_from(len).expect("it fits") } else { 0 };
        let [high, low] = len.to_be_bytes();
        let mut packet = vec![0, 0, 1, pes.id, high, low, 0x80, flags, fields.len() as u8];
        packet.extend(fields);
        packet.extend_from_slice(pes.data);
        let first = if pes.pcr.is_some() { 176 } else { 184 };
        let (head, rest) = packet.split_at(first.min(packet.len()));
        self.packet(pes.pid, true, pes.pcr, head);
        for piece in rest.chunks(184) {
            self.packet(pes.pid, false, None, piece);
        }
    }

    /// A packet of its own for the PCR.
    pub(crate) fn clock(&mut self, pid: u16, pcr: i64) {
        self.packet(pid, false, Some(pcr), &[]);
    }

    fn packet(&mut self, pid: u16, unit_start: bool, pcr: Option<i64>, payload: &[u8]) {
        let counter = self.counters.entry(pid).or_default();
        let has_payload = !payload.is_empty();
        // 13818-1 2.4.3.3: a packet without payload repeats the counter.
        let now = if has_payload { *counter } else { counter.wrapping_sub(1) & 15 };
        if has_payload {
            *counter = (*counter + 1) & 15;
        }
        let room = 184 - payload.len();
        let [high, low] = (pid | u16::from(unit_start) << 14).to_be_bytes();
        let flags = u8::from(room > 0) << 5 | u8::from(has_payload) << 4;
        self.data.extend([0x47, high, low, flags | now]);
        if room > 0 {
            let mut field = vec![(room - 1) as u8];
            if let Some(pcr) = pcr {
                let base = pcr as u64 & ((1 << 33) - 1);
                field.push(0x10);
                field.extend(((base >> 1) as u32).to_be_bytes());
                field.extend([(base as u8 & 1) << 7 | 0x7e, 0]);
            } else if room > 1 {
                field.push(0);
            }
            field.resize(room, 0xff);
            self.data.extend(field);
        }
        self.data.extend_from_slice(payload);
    }
}

/// A section of the long syntax with its CRC.
pub(crate) fn section(table: u8, extension: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(5 + body.len() + 4).expect("a section");
    let mut data = vec![table];
    data.extend((0xb000 | len).to_be_bytes());
    data.extend(extension.to_be_bytes());
    data.extend([0xc1 | version << 1, 0, 0]);
    data.extend_from_slice(body);
    data.extend(crc32(&data).to_be_bytes());
    data
}
