//! One suite, every store.

mod memory;
mod sqlite;
