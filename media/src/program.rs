//! What a transport stream says it carries: the Feed's description.

use serde::Serialize;

/// The programme a Feed carries, from its PAT and PMT.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Program {
    /// `program_number` of the PAT.
    pub number: u16,
    /// PID of the PMT.
    pub pmt_pid: u16,
    /// PID that carries the PCR.
    pub pcr_pid: u16,
    /// Each elementary stream of the PMT, in its order; SCTE-35 and unknown ones too.
    pub streams: Vec<ElementaryStream>,
}

/// One elementary stream of a PMT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElementaryStream {
    /// Its PID.
    pub pid: u16,
    /// `stream_type` of ISO/IEC 13818-1, table 2-34.
    pub stream_type: u8,
    /// What it is, as an operator knows it: `H.264`, `AC-3`, `SCTE-35`, `teletext`, `unknown 0x99`.
    pub label: String,
    /// Its ISO 639-2 language, where a descriptor tells.
    pub language: Option<String>,
    /// The media lane packages it; the transport lane carries all of them.
    pub packaged: bool,
}
