//! One suite, every store.

mod memory;
mod postgres;
mod sqlite;
