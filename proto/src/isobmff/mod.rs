//! isobmff
