//! Inputs as people have them, rebuilt after public reports in ../shared/wild: every row of the table in its README.md, and what stands
//! below it, through the binary, with the value that is right there. Crates test the same on small inputs of their own.

#[path = "../common/mod.rs"]
mod common;
mod input;
mod measures;
mod prepare;
mod training;
mod values;
