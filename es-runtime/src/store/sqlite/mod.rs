//! SQLite.
/// x
#[derive(Debug, Clone)]
pub struct SqliteStore;
