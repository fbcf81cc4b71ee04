//! A server in trouble: it is killed, stopped, full, read-only. Callers see latency or errors that are worth another try; what they were told is
//! true; and the store works again by itself.

use std::process::Command;
use std::time::Duration;

use es_runtime::event::{GlobalPosition, StreamId};
use es_runtime::store::{AppendError, EventStore as _, PostgresStore};
use es_runtime::testing::contract::fixture::{append, stream, whole_log};
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};
use xtask::Cluster;

use super::callers::{Callers, named, submit};
use super::foreign::Foreign;
use super::proxy::{Act, Proxy};
use super::{Schema, schema, server_of_its_own, until};
use crate::place::Place as _;

/// A store that waits for its server for as long as a server under load may take to come back.
async fn patient(schema: &Schema) -> PostgresStore {
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(60));
    options.connect_with(schema.options()).await.unwrap()
}

/// Takes a server down under load and starts it again, several times.
async fn goes_down_and_comes_back(rounds: usize, down: fn(&mut Cluster) -> Result<(), String>) {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    let callers = Callers::start(&store);
    for _ in 0..rounds {
        callers.more(150).await;
        tokio::task::block_in_place(|| down(&mut server).and_then(|()| server.start_again())).unwrap();
    }
    callers.more(150).await;
    let figures = callers.end(&schema).await;
    eprintln!("{rounds} rounds: {figures}");
    assert_eq!(figures.uncertain, 0, "the server came back in time");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_load_loses_nothing() {
    goes_down_and_comes_back(5, Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_load_loses_nothing() {
    goes_down_and_comes_back(3, Cluster::crash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_under_load_loses_nothing() {
    goes_down_and_comes_back(3, Cluster::stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_again_and_again_lose_nothing() {
    let schema = schema!();
    let store = patient(&schema).await;
    let mut admin = schema.options().application_name("admin").connect().await.unwrap();
    let callers = Callers::start(&store);
    let mut ended = 0;
    for _ in 0..60 {
        callers.more(5).await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
        ended += sqlx::query_scalar::<_, i64>(end).bind(schema.name()).fetch_one(&mut admin).await.unwrap();
    }
    let figures = callers.end(&schema).await;
    eprintln!("{ended} sessions ended: {figures}");
    assert!(ended >= 60 && figures.uncertain == 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_the_server_that_dies_takes_nothing_with_it() {
    let Some(server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    let callers = Callers::start(&store);
    for _ in 0..3 {
        callers.more(100).await;
        let mut connection = schema.connect().await;
        let pid = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%es_append%' LIMIT 1";
        let pid: i32 = sqlx::query_scalar(pid).bind(schema.name()).fetch_one(&mut connection).await.unwrap();
        // The server ends all others, and recovers.
        assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    }
    callers.more(100).await;
    let figures = callers.end(&schema).await;
    eprintln!("{figures}");
    assert_eq!(figures.uncertain, 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_for_a_while_is_a_retryable_error() {
    let Some(server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    append(&store, &stream("before"), 0, 1).await;
    let mut admin = schema.connect().await;
    set(&mut admin, "default_transaction_read_only = on").await;
    // The server's processes hear of the new setting by and by.
    let mut probe = 0;
    let refused = loop {
        probe += 1;
        let name = format!("probe-{probe}");
        if let Err(refused) = submit(&store, named(&name, &StreamId::new("account", &*name), 0)).await {
            break refused;
        }
    };
    assert!(matches!(&refused, AppendError::Store(error) if error.is_retryable()), "{refused:?}");
    assert!(!whole_log(&store, 10).await.is_empty(), "it can be read");
    admin.execute("SET default_transaction_read_only = off").await.unwrap();
    set(&mut admin, "default_transaction_read_only = off").await;
    until("it takes writes again", async || {
        let again = submit(&store, named("again", &StreamId::new("account", "again"), 0)).await;
        match again {
            Ok(_) => true,
            Err(AppendError::Store(error)) if error.is_retryable() => false,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    store.close().await;
}

async fn set(admin: &mut PgConnection, setting: &str) {
    admin.execute(sqlx::AssertSqlSafe(format!("ALTER SYSTEM SET {setting}"))).await.unwrap();
    admin.execute("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_prepared_before_a_crash_is_waited_for_after_it() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    append(&store, &stream("before"), 0, 1).await;
    let mut foreign = Foreign::begin(&schema).await;
    let gap = foreign.append(None, &stream("late"), &["late 1".to_owned()]).await;
    append(&store, &stream("behind"), 0, 1).await;
    // The reader waits for it from here on, by the name that it has in this life of the server.
    let log = async || store.read_all(GlobalPosition::START, 10).await.unwrap();
    assert_eq!(log().await.len(), 1);
    let connection = foreign.end("PREPARE TRANSACTION 'late'").await;
    assert_eq!(log().await.len(), 1);
    drop(connection);
    tokio::task::block_in_place(|| server.kill().and_then(|()| server.start_again())).unwrap();
    let mut admin = schema.options().application_name("admin").connect().await.unwrap();
    until("the reader asks the new server", async || {
        let asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%pg_locks%'";
        sqlx::query_scalar::<_, i64>(asked).bind(schema.name()).fetch_one(&mut admin).await.unwrap() > 0
    })
    .await;
    for _ in 0..20 {
        assert_eq!(log().await.len(), 1, "the reader has passed a transaction that is prepared");
    }
    schema.raw("COMMIT PREPARED 'late'").await;
    until("the gap is passed", async || log().await.len() == 3).await;
    assert_eq!(log().await[1].position().get().cast_signed(), gap[0]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replicas_are_to_have_is_not_acknowledged_before_they_have_it() {
    let Some(server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    schema.open().await.close().await;
    let proxy = Proxy::start(schema.options()).await;
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(60));
    let store = options.connect_with(proxy.options()).await.unwrap();
    append(&store, &stream("before"), 0, 1).await;
    let mut admin = schema.connect().await;
    // A replica that is not there: commits wait for it.
    set(&mut admin, "synchronous_standby_names = 'nobody'").await;
    admin.execute("SET synchronous_commit = local").await.unwrap();
    until("commits wait", async || {
        let names: String = sqlx::query_scalar("SHOW synchronous_standby_names").fetch_one(&mut admin).await.unwrap();
        names == "nobody"
    })
    .await;
    proxy.arm("waits 2", Act::Late(Duration::ZERO));
    let (one, new) = (store.clone(), named("waits", &stream("waits"), 0));
    let waiting = tokio::spawn(async move { submit(&one, new).await });
    until("the commit is on its way", async || proxy.has_acted()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished(), "it was acknowledged: {:?}", waiting.await);
    set(&mut admin, "synchronous_standby_names = ''").await;
    waiting.await.unwrap().unwrap();
    store.close().await;
}
