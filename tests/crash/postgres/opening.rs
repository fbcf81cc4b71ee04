//! Opening schemas, strange ones too.

use std::time::Duration;

use es_runtime::store::{EventStore as _, PostgresStore, StoreError};
use es_runtime::testing::contract::fixture::{append, stream};
use futures_util::future::join_all;

use crate::place::Place as _;
use crate::postgres::{Schema, schema};

/// Opens a store that must be refused.
async fn refused(schema: &Schema) -> StoreError {
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(2));
    options.connect_with(schema.options()).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn many_may_open_a_new_schema_at_once() {
    for _ in 0..3 {
        let schema = schema!();
        let stores = join_all((0..8).map(|_| schema.open())).await;
        for (index, store) in stores.into_iter().enumerate() {
            append(&store, &stream("a"), index as u64, 1).await;
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let schema = schema!();
    schema.open().await.close().await;
    let sql = "INSERT INTO _es_migrations (version, description, success, checksum, execution_time) \
        VALUES (9, 'from the future', TRUE, '\\x00', 0)";
    schema.raw(sql).await;
    let error = refused(&schema).await;
    assert!(matches!(error, StoreError::NewerSchema { found: 9, known: 8 }), "{error:?}");
}

#[tokio::test]
async fn a_migration_with_another_text_is_refused() {
    let schema = schema!();
    schema.open().await.close().await;
    schema.raw("UPDATE _es_migrations SET checksum = '\\x00' WHERE version = 1").await;
    let error = refused(&schema).await;
    assert!(matches!(&error, StoreError::Damaged { place, .. } if place.contains("_es_migrations")), "{error:?}");
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_not_made_by_who_may_not() {
    let schema = schema!();
    let open = || PostgresStore::options().schema(schema.name()).migrate(false).connect_with(schema.options());
    let error = open().await.map(drop).unwrap_err();
    assert!(error.to_string().contains("migrate it first"), "{error}");
    schema.open().await.close().await;
    append(&open().await.unwrap(), &stream("a"), 0, 1).await;
}

#[tokio::test]
async fn stores_in_schemas_are_separate() {
    let (one, two) = (schema!(), schema!());
    let (one, two) = (one.open().await, two.open().await);
    append(&one, &stream("a"), 0, 1).await;
    assert_eq!(two.event_count().await.unwrap(), 0);
    append(&two, &stream("a"), 0, 1).await;
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let schema = schema!();
    for name in ["", "Bank", "a b", "a\"b", "pg_bank", "1bank", "bänk", "a;drop", &"x".repeat(41)] {
        let error = PostgresStore::options().schema(name).connect_with(schema.options()).await.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("cannot be the schema's name"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_database_or_password_that_is_wrong_is_an_error_at_once() {
    let schema = schema!();
    let options = [schema.options().database("no_such_database"), schema.options().username("nobody at all")];
    for options in options {
        let begun = std::time::Instant::now();
        let patient = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(600));
        let refused = patient.connect_with(options).await.map(drop);
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "what will not change was tried again");
    }
}
