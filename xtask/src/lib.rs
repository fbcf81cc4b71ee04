//! A PostgreSQL server for tests, which does not outlive whoever started it.

mod cluster;
mod find;
mod user;

pub use cluster::{Cluster, Extra};
pub use find::{Binaries, MISSING, binaries};
