//! flambeau
fn main() {}
