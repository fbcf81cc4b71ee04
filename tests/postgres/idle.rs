//! Connections that end while they are idle: an administrator ends them, a firewall forgets them, a pooler closes them. No caller sees it.

use std::time::Duration;

use es_runtime::event::{GlobalPosition, Version};
use es_runtime::store::{
    CheckpointStore as _, EventStore as _, ExternalId, IdentityMap as _, Ledger as _, PostgresStore,
    ProjectionRegistry as _, SnapshotStore as _,
};
use es_runtime::testing::contract::fixture::{With as _, commit, store_one, stream};
use es_runtime::testing::contract::read_side::{FIRST, Projected as _, Worker, commit_of, record, register};
use sqlx::ConnectOptions as _;

use super::Schema;
use super::proxy::Proxy;
use super::schema;
use crate::place::Place as _;

/// One in so many connections that are used again is gone.
const ONE_IN: u64 = 6;

/// A schema, behind a proxy.
pub struct Ending {
    schema: Schema,
    proxy: Proxy,
}

impl Ending {
    pub async fn new(schema: Schema) -> Self {
        schema.open().await.close().await;
        let proxy = Proxy::start(schema.options()).await;
        Self { schema, proxy }
    }

    /// Opens a store whose connections end from now on.
    pub async fn open(&self) -> PostgresStore {
        // Several that are made one after the other may be gone.
        let options = PostgresStore::options().schema(self.schema.name()).connect_timeout(Duration::from_mins(2));
        let store = options.connect_with(self.proxy.options()).await.unwrap();
        self.proxy.end_idle(super::seed(), ONE_IN);
        store
    }
}

/// Ends every session that a store has, and waits until they are gone.
async fn end_sessions(schema: &Schema) {
    let mut admin = schema.options().application_name("admin").connect().await.unwrap();
    // The sessions first, then their end: in one condition, it would be anybody's session.
    let end = "WITH mine AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE application_name = $1) \
        SELECT count(*) FROM mine WHERE pg_terminate_backend(pid, 30000)";
    let ended: i64 = sqlx::query_scalar(end).bind(schema.name()).fetch_one(&mut admin).await.unwrap();
    assert!(ended > 0, "there was none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ended_while_they_were_idle_are_seen_by_no_writer() {
    let schema = schema!();
    let store = schema.open().await;
    register(&store, &FIRST).await;
    for round in 0..3 {
        let name = |what: &str| stream(&format!("{what} {round}"));
        // The first new stream of a store asks for numbers, later ones have some.
        end_sessions(&schema).await;
        store_one(&store, commit(&name("plain"), 0, 1)).await.unwrap();
        end_sessions(&schema).await;
        store_one(&store, commit(&name("plain"), 1, 2)).await.unwrap();
        end_sessions(&schema).await;
        store_one(&store, commit(&name("plain"), 3, 0)).await.unwrap();
        end_sessions(&schema).await;
        let new = commit(&name("keyed"), 0, 1).keyed(&format!("k{round}")).claiming(&format!("c{round}"));
        store_one(&store, new.with_snapshot(7, "state")).await.unwrap();
        end_sessions(&schema).await;
        let new = commit_of(&name("projected"), 0, &["opened", "deposited:5"]).projected(&[&FIRST]);
        store_one(&store, new).await.unwrap();
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_ended_while_they_were_idle_are_seen_by_no_reader() {
    let schema = schema!();
    let store = schema.open().await;
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    for round in 0..2 {
        end_sessions(&schema).await;
        assert_eq!(store.read_all(GlobalPosition::START, 9).await.unwrap().len(), 2 + round);
        end_sessions(&schema).await;
        assert_eq!(store.read_stream(&stream("a"), Version::NONE, 9).await.unwrap().len(), 2 + round);
        end_sessions(&schema).await;
        assert_eq!(store.head().await.unwrap().get(), 2 + round as u64);
        end_sessions(&schema).await;
        assert!(store.find("", "k").await.unwrap().is_none());
        end_sessions(&schema).await;
        assert!(store.snapshot(&stream("a"), 7).await.unwrap().is_none());
        end_sessions(&schema).await;
        let id = ExternalId { tenant: String::new(), category: "a".into(), source: "b".into(), id: "c".into() };
        assert_eq!(store.identify(&id, &format!("{round}")).await.unwrap(), "0");
        end_sessions(&schema).await;
        worker.catch_up().await;
        end_sessions(&schema).await;
        assert_eq!(store.checkpoints("balances", 1).await.unwrap()[0].position.get(), 2 + round as u64);
        end_sessions(&schema).await;
        assert_eq!(store.projections().await.unwrap().len(), 1);
        end_sessions(&schema).await;
        record(&store, &stream("a"), 2 + round as u64, &["deposited:1"]).await;
    }
    end_sessions(&schema).await;
    store.rewind("balances", 1, GlobalPosition::START).await.unwrap();
    end_sessions(&schema).await;
    store.reset(&FIRST, None).await.unwrap();
    store.close().await;
}
