//! What tests use: the suite that every store passes.

pub mod contract;
