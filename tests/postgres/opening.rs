//! Opening a store where something is in the way: each has an answer with a type, in time.

use std::time::{Duration, Instant};

use es_runtime::event::GlobalPosition;
use es_runtime::store::{EventStore as _, PostgresStore, StoreError};
use es_runtime::testing::contract::fixture::{append, stream};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Schema, schema, server_of_its_own};
use crate::place::Place as _;

/// What the tests let a store wait for a connection.
const LIMIT: Duration = Duration::from_secs(1);

/// Longer than an answer takes after that, on whatever machine.
const BOUND: Duration = Duration::from_secs(60);

async fn open(schema: &str, options: PgConnectOptions) -> Result<PostgresStore, StoreError> {
    let began = Instant::now();
    let opened = PostgresStore::options().schema(schema).connect_timeout(LIMIT).connect_with(options).await;
    assert!(began.elapsed() < BOUND, "the answer took {:?}", began.elapsed());
    opened
}

/// Asserts that a store is not opened, and that the reason names what it has to name.
async fn is_unavailable(schema: &str, options: PgConnectOptions, names: &str) {
    match open(schema, options).await {
        Err(error @ StoreError::Unavailable { .. }) => {
            let text = error.to_string();
            assert!(text.contains(names), "`{names}` is not in: {text}");
        }
        other => panic!("expected a reason with `{names}`, got {other:?}"),
    }
}

#[tokio::test]
async fn tables_of_a_newer_program_are_refused() {
    let schema = schema!();
    schema.open().await.close().await;
    let newer = "INSERT INTO _es_migrations (version, description, success, checksum, execution_time) \
        VALUES (99, 'of tomorrow', true, 'abc', 0)";
    schema.connect().await.execute(newer).await.unwrap();
    for migrate in [true, false] {
        let options = PostgresStore::options().schema(schema.name()).migrate(migrate);
        let refused = options.connect_with(schema.options()).await;
        let Err(StoreError::NewerSchema { found: 99, known }) = refused else { panic!("{refused:?}") };
        assert!(known < 99);
    }
}

/// On a standby nobody sees which positions are still to be filled.
#[tokio::test]
async fn a_standby_is_refused() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = schema.open().await;
    append(&store, &stream("a"), 0, 1).await;
    store.close().await;
    server.stop().unwrap();
    let signal = server.folder().join("data/standby.signal");
    std::fs::write(&signal, "").unwrap();
    server.start_again().unwrap();
    for migrate in [true, false] {
        let options = PostgresStore::options().schema(schema.name()).migrate(migrate).connect_timeout(LIMIT);
        match options.connect_with(schema.options()).await {
            Err(error @ StoreError::Unavailable { .. }) => assert!(error.to_string().contains("standby"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    // One that lives on while its server becomes a standby reads nothing there, and goes on at the primary.
    server.stop().unwrap();
    std::fs::remove_file(&signal).unwrap();
    server.start_again().unwrap();
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(LIMIT);
    let store = options.connect_with(schema.options()).await.unwrap();
    server.stop().unwrap();
    std::fs::write(&signal, "").unwrap();
    server.start_again().unwrap();
    let read = store.read_all(GlobalPosition::START, 10).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    let head = store.head().await;
    assert!(matches!(head, Err(StoreError::Unavailable { .. })), "{head:?}");
    server.stop().unwrap();
    std::fs::remove_file(&signal).unwrap();
    server.start_again().unwrap();
    append(&store, &stream("a"), 1, 1).await;
    assert_eq!(store.read_all(GlobalPosition::START, 10).await.unwrap().len(), 2);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_not_in_utf_8_is_refused() {
    let schema = schema!();
    let mut server = schema.connect().await;
    let database = format!("d_{}", schema.name());
    let make = format!("CREATE DATABASE {database} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    server.execute(AssertSqlSafe(make)).await.unwrap();
    is_unavailable(schema.name(), schema.options().database(&database), "LATIN1").await;
    server.execute(AssertSqlSafe(format!("DROP DATABASE {database} WITH (FORCE)"))).await.unwrap();
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    let schema = schema!();
    for url in [
        "",
        "bank",
        "mysql://localhost/bank",
        "postgres://localhost:99999/bank",
        "postgres://localhost/bank?sslmode=maybe",
    ] {
        let refused = PostgresStore::options().schema(schema.name()).connect_timeout(LIMIT).connect(url).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "`{url}`: {refused:?}");
    }
}

#[tokio::test]
async fn a_database_a_role_or_a_password_that_is_none_is_an_error_at_once() {
    let schema = schema!();
    let began = Instant::now();
    is_unavailable(schema.name(), schema.options().database("there_is_none"), "there_is_none").await;
    let nobody = schema.options().username("there_is_nobody").password("guessed");
    is_unavailable(schema.name(), nobody, "there_is_nobody").await;
    match open(schema.name(), schema.options().password("guessed")).await {
        Ok(store) => {
            eprintln!("NOT RUN: the server asks for no password");
            store.close().await;
        }
        Err(error) => assert!(error.to_string().contains("password"), "{error}"),
    }
    assert!(began.elapsed() < BOUND);
}

#[tokio::test]
async fn a_closed_port_is_an_error_in_time() {
    let schema = schema!();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    is_unavailable(schema.name(), schema.options().host("127.0.0.1").port(port), "no connection within").await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_an_error_in_time() {
    let schema = schema!();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = schema.options().host("127.0.0.1").port(silent.local_addr().unwrap().port());
    is_unavailable(schema.name(), options, "no connection within").await;
}

#[tokio::test]
async fn a_server_that_speaks_another_language_is_an_error_in_time() {
    let schema = schema!();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = schema.options().host("127.0.0.1").port(other.local_addr().unwrap().port());
    let task = tokio::spawn(async move {
        loop {
            let (mut client, _) = other.accept().await.unwrap();
            let _ = client.read(&mut [0; 64]).await;
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let opened = open(schema.name(), options).await;
    assert!(matches!(opened, Err(StoreError::Unavailable { .. })), "{opened:?}");
    task.abort();
}

#[tokio::test]
async fn a_server_without_a_connection_left_is_an_error_in_time() {
    let schema = schema!();
    schema.open().await.close().await;
    let role = super::rights::Role::make(&schema).await;
    let mut owner = schema.connect().await;
    owner.execute(AssertSqlSafe(format!("ALTER ROLE {} CONNECTION LIMIT 0", role.name))).await.unwrap();
    is_unavailable(schema.name(), role.options().clone(), "no connection within").await;
    owner.close().await.unwrap();
    role.end().await;
}
