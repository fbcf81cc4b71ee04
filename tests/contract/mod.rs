//! One suite, every store.

mod sqlite;
