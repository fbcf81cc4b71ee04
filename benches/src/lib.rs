//! What the benchmarks share: a small domain, ways to fill a store, ways to compare.

pub mod bank;
pub mod fill;
pub mod ratios;
pub mod readers;
pub mod views;

/// The error of a benchmark: it is reported, and the program ends.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a step of a benchmark gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;
