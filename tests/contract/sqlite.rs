//! The SQLite store passes the suite: in a file, in memory, and as the file's sole owner.

use es_runtime::store::SqliteStore;
use tempfile::TempDir;

/// Opens a store in a folder.
async fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(folder.path().join("es.db")).await.unwrap()
}

mod in_file {
    es_runtime::store_contract!(tempfile::tempdir().unwrap(), super::open);
    es_runtime::durable_store_contract!(tempfile::tempdir().unwrap(), super::open);
}

mod in_memory {
    es_runtime::store_contract!(super::SqliteStore::in_memory().await.unwrap());
}

mod as_sole_owner {
    es_runtime::store_contract!(super::SqliteStore::options().sole_owner(true).open_in_memory().await.unwrap());
}
