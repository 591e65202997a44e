//! What stands between a venue's session and its Feed: whole packets, and what they say of themselves.

pub mod align;
pub mod scan;

pub use align::{Aligner, NotTransportStream};
pub use scan::{Scanned, Scanner};
