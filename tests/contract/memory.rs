//! The store in memory passes the suite.

es_runtime::store_contract!(es_runtime::store::MemoryStore::new());
