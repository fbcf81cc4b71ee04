//! The steps of `docs/backup.md`, as they stand there.

use std::path::Path;
use std::process::Command;
use std::str::FromStr as _;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::EventStore as _;
use es_runtime::testing::contract::fixture::whole_log;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use xtask::Cluster;

use super::history::{Sum, Sums, account, assert_rows_are_the_fold, opened};
use super::{server_of_its_own, until};
use crate::domain::{Deposit, Gateway};

/// Returns the code block of the page whose text begins like this.
pub fn step(begin: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/backup.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(_, text)| text.starts_with(begin));
    found.unwrap_or_else(|| panic!("docs/backup.md has no `{begin}`")).1.to_owned()
}

/// Tells whether PostgreSQL's own programs are there, in the server's version; a `pg_dump` of an older one refuses the server.
fn are_there() -> bool {
    let version = |program: &str| {
        let said = with_path(Command::new(program).arg("--version")).output().ok()?;
        // `pg_dump (PostgreSQL) 15.18 (Debian …)`
        String::from_utf8(said.stdout).ok()?.split([' ', '.']).nth(2)?.parse::<u32>().ok()
    };
    let found = [version("pg_dump"), version("pg_basebackup")];
    let is_there = found.iter().all(|found| found.is_some() && *found >= version("postgres"));
    if !is_there {
        eprintln!("NOT RUN: `pg_dump` and `pg_basebackup` of the server's version are not found");
    }
    is_there
}

/// Lets a program find those that belong to the server.
fn with_path(command: &mut Command) -> &mut Command {
    let mut path = vec![xtask::binaries().expect(xtask::MISSING).folder];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    command.env("PATH", std::env::join_paths(path).unwrap())
}

/// Runs a step in a folder, as somebody who has told PostgreSQL's programs where the server is.
fn run(step: &str, folder: &Path, server: &Cluster) {
    let options = PgConnectOptions::from_str(server.url()).unwrap();
    let password = server.url().split([':', '@']).nth(2).unwrap();
    let done = with_path(&mut Command::new("sh"))
        .args(["-e", "-c", step])
        .current_dir(folder)
        .envs([("PGHOST", options.get_host()), ("PGUSER", options.get_username()), ("PGPASSWORD", password)])
        .envs([("PGPORT", options.get_port().to_string()), ("PGDATABASE", "postgres".to_owned())])
        .output()
        .unwrap();
    assert!(done.status.success(), "{step}\n{}", String::from_utf8_lossy(&done.stderr));
}

async fn sums(options: PgConnectOptions) -> App<Sums, PostgresStore> {
    let store = PostgresStore::options().connect_timeout(Duration::from_secs(60)).connect_with(options).await.unwrap();
    App::builder(store).dependency(Gateway::default()).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_restored_with_all_that_belongs_together() {
    let Some(server) = server_of_its_own().filter(|_| are_there()) else { return };
    let options = PgConnectOptions::from_str(server.url()).unwrap();
    let app = sums(options.clone()).await;
    app.dispatch(opened(1, 100)).idempotency_key("open").await.unwrap();
    app.caught_up().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokio::task::block_in_place(|| run(&step("pg_dump"), folder.path(), &server));
    app.dispatch(Deposit::of(account(1), 7)).await.unwrap();
    options.clone().connect().await.unwrap().execute("CREATE DATABASE restored").await.unwrap();
    tokio::task::block_in_place(|| run(&step("pg_restore"), folder.path(), &server));

    let restored = sums(options.database("restored")).await;
    assert_eq!(whole_log(restored.store(), 100).await.len(), 2);
    assert_rows_are_the_fold(&restored).await;
    // What is there is a repeat, what is lost is done again.
    assert!(restored.dispatch(opened(1, 100)).idempotency_key("open").await.unwrap().replayed());
    restored.dispatch(Deposit::of(account(1), 7)).await.unwrap();
    assert_rows_are_the_fold(&restored).await;
    assert_eq!(restored.table::<Sum>().get(&account(1)).await.unwrap().unwrap().cents, 107);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_is_started_in_the_place_of_its_server_while_a_program_lives_on() {
    let Some(mut server) = server_of_its_own().filter(|_| are_there()) else { return };
    let app = sums(PgConnectOptions::from_str(server.url()).unwrap()).await;
    app.dispatch(opened(1, 100)).await.unwrap();
    app.caught_up().await.unwrap();
    let folder = server.folder().to_owned();
    tokio::task::block_in_place(|| {
        run(&step("pg_basebackup"), &folder, &server);
        run("chown -R --reference=data backup; mv backup copy", &folder, &server);
    });
    app.dispatch(Deposit::of(account(1), 1_000)).await.unwrap();
    app.caught_up().await.unwrap();
    tokio::task::block_in_place(|| {
        server.kill().and_then(|()| server.put_copy_back()).and_then(|()| server.start_again()).unwrap();
    });
    app.dispatch(Deposit::of(account(1), 7)).await.unwrap();
    assert_rows_are_the_fold(&app).await;
    let row = app.table::<Sum>().get(&account(1)).await.unwrap().unwrap();
    assert_eq!((row.cents, row.events), (107, 3));
}

/// Passes connections on to the server that is the primary at that time.
async fn forward(primary: watch::Receiver<u16>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let port = *primary.borrow();
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asynchronous_standby_that_lacks_the_last_commits_takes_over_while_a_program_lives_on() {
    let Some(mut server) = server_of_its_own().filter(|_| are_there()) else { return };
    let mut standby = server_of_its_own().unwrap();
    let options = PgConnectOptions::from_str(server.url()).unwrap();
    let port = PgConnectOptions::from_str(standby.url()).unwrap().get_port();
    // It is a copy of the other one, whose password it has.
    let on_standby = options.clone().port(port);
    let (primary, target) = watch::channel(options.get_port());
    let app = sums(options.clone().port(forward(target).await)).await;
    app.dispatch(opened(1, 100)).await.unwrap();
    app.caught_up().await.unwrap();
    let copy = format!(
        "pg_basebackup --pgdata=copied --write-recovery-conf --checkpoint=fast; echo 'port = {port}' >> copied/postgresql.auto.conf; \
         chown -R --reference=data copied; rm -rf data; mv copied data"
    );
    tokio::task::block_in_place(|| {
        standby.stop().unwrap();
        run(&copy, standby.folder(), &server);
    });
    // It is ready when it is no standby any more.
    let starts = std::thread::spawn(move || standby.start_again().map(|()| standby));
    until("the standby has what there is", async || {
        let Ok(mut connection) = on_standby.connect().await else { return false };
        let count = sqlx::query_scalar("SELECT count(*) FROM es.event_log").fetch_one(&mut connection).await;
        count.is_ok_and(|count: i64| count == 2)
    })
    .await;
    let mut connection = on_standby.connect().await.unwrap();
    connection.execute("ALTER SYSTEM SET primary_conninfo = ''").await.unwrap();
    connection.execute("SELECT pg_reload_conf()").await.unwrap();
    until("nothing more comes to it", async || {
        let receivers =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_wal_receiver").fetch_one(&mut connection).await;
        receivers.is_ok_and(|receivers: i64| receivers == 0)
    })
    .await;
    app.dispatch(Deposit::of(account(1), 1_000)).await.unwrap();
    app.caught_up().await.unwrap();
    let history = app.store().history();

    tokio::task::block_in_place(|| server.kill().unwrap());
    connection.execute("SELECT pg_promote()").await.unwrap();
    primary.send_replace(port);
    let _standby = tokio::task::block_in_place(|| starts.join().unwrap().unwrap());
    app.dispatch(Deposit::of(account(1), 7)).await.unwrap();
    assert!(history.is_over());
    assert_rows_are_the_fold(&app).await;
    let row = app.table::<Sum>().get(&account(1)).await.unwrap().unwrap();
    assert_eq!((row.cents, row.events), (107, 3));
}
