//! The store in memory passes the suite, and so does one that a third party might write around it.

mod plain {
    es_runtime::store_contract!(es_runtime::store::MemoryStore::new());
}

mod wrapped {
    es_runtime::store_contract!(crate::faulty::FaultyStore::new());
}
