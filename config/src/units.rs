//! Quantities as people write them: `200ms`, `64MiB`, `20Mb/s`.

pub mod bytes;
pub mod duration;
mod quantity;
pub mod rate;
pub(crate) mod text;

pub use quantity::QuantityError;
pub use rate::BitRate;
