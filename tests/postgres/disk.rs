//! A disk on which nothing fits any more, for a server of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use es_runtime::event::StreamId;
use es_runtime::store::{AppendError, EventStore as _, NewCommit, PostgresStore, StoreError};
use es_runtime::testing::contract::fixture::event_of;
use sqlx::{ConnectOptions as _, Executor as _};
use xtask::Cluster;

use super::Schema;
use super::callers::{Callers, named, submit};
use crate::place::Place as _;

/// A small disk, which goes away with this value.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may not mount one.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=1777"), "tmpfs"]).arg(&folder);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        let disk = Self(folder);
        mounted.then_some(disk)
    }

    /// Writes until nothing fits any more.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![1_u8; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A server on a small disk, a store that does not wait long for it, and callers at work; none where no disk can be mounted.
async fn on_a_small_disk() -> Option<(Disk, Cluster, Schema, PostgresStore)> {
    if Schema::is_left_out() {
        return None;
    }
    let Some(disk) = Disk::mount(160) else {
        eprintln!("NOT RUN: this user may not mount a small disk");
        return None;
    };
    let server = {
        let extra = xtask::Extra { parent: Some(disk.0.clone()), ..Default::default() };
        Cluster::start_with(&xtask::binaries().expect(xtask::MISSING), &extra).unwrap()
    };
    let schema = Schema::on(server.url());
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(2));
    let store = options.connect_with(schema.options()).await.unwrap();
    Some((disk, server, schema, store))
}

/// Makes room. Where the server found none for its own log, it has ended; then it is started.
async fn recover(disk: &Disk, server: &mut Cluster, schema: &Schema) {
    disk.make_room();
    let connected = tokio::time::timeout(Duration::from_secs(3), schema.options().connect()).await;
    if !connected.is_ok_and(|connected| connected.is_ok()) {
        eprintln!("the server has ended");
        tokio::task::block_in_place(|| server.crash().and_then(|()| server.start_again())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_until_there_is_room() {
    let Some((disk, mut server, schema, store)) = on_a_small_disk().await else { return };
    let callers = Callers::start(&store);
    callers.more(100).await;
    disk.fill();
    let (mut stored, mut full, mut others) = (0_u64, 0, 0);
    while full + others < 20 {
        // A large one, so that the last pages are soon used up.
        let body = format!("large-{stored}{} 1", "x".repeat(100_000));
        let new = named("", &StreamId::new("account", format!("large-{stored}")), 0);
        match submit(&store, NewCommit { events: vec![event_of("made", body)], ..new }).await {
            Ok(_) => stored += 1,
            Err(AppendError::Store(StoreError::Full { .. })) => full += 1,
            Err(AppendError::Store(error)) if error.is_retryable() => others += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert!(stored < 2_000, "the disk is not full");
    }
    recover(&disk, &mut server, &schema).await;
    callers.more(100).await;
    eprintln!("{stored} stored, {full} times full, {others} times another error");
    assert!(full > 0);
    let count = "SELECT count(*) FROM event_log WHERE octet_length(body) > 100000";
    let large: i64 = sqlx::query_scalar(count).fetch_one(&mut schema.connect().await).await.unwrap();
    assert_eq!(large.cast_unsigned(), stored);
    eprintln!("{}", callers.end(&schema).await);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_for_the_servers_own_log_loses_nothing() {
    let Some((disk, mut server, schema, store)) = on_a_small_disk().await else { return };
    let callers = Callers::start(&store);
    callers.more(100).await;
    disk.fill();
    let mut other = schema.connect().await;
    // Until the log wants a new file. The server does not survive that.
    while other.execute("SELECT pg_logical_emit_message(false, 'es', repeat('x', 1000000))").await.is_ok() {}
    tokio::time::sleep(Duration::from_secs(3)).await;
    recover(&disk, &mut server, &schema).await;
    callers.more(100).await;
    eprintln!("{}", callers.end(&schema).await);
    store.close().await;
}
