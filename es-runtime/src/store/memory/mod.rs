//! The store in memory.
/// x
#[derive(Debug, Clone)]
pub struct MemoryStore;
