//! One suite, every store.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
