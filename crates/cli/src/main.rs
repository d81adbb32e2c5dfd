//! The binary `pig`.
fn main() {}
