//! A read model by hand, and short ways to append and to wait.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use tokio::time::Instant;

use crate::event::{AnyEvent, EventId, EventName, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::handler::Dependencies;
use crate::projection::{
    Fold, FoldHandler, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionFailure, ProjectionHandler,
    ProjectionStyle, Projections, Step,
};
use crate::read_model::{
    ColumnDescriptor, ColumnError, ColumnType, ReadModel, RowKey, Selection, TableDescriptor, TableRef, Value,
};
use crate::store::{DecisionChain, EventStore, MemoryStore, NewCommit, NewEvent, RowStore, Store};
use crate::subscription::{Health, SubscriptionOptions, SubscriptionState, Subscriptions};

pub const PATIENCE: Duration = Duration::from_mins(2);

/// One account: what was paid in, and which events did it, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balance {
    pub account: String,
    pub cents: i64,
    pub seen: String,
}

const fn column(name: &'static str, ty: ColumnType, key: bool) -> ColumnDescriptor {
    ColumnDescriptor { name, ty, nullable: false, key, index: false }
}

pub const TABLE: TableDescriptor = TableDescriptor {
    name: "balances",
    columns: &[
        column("account", ColumnType::Text, true),
        column("cents", ColumnType::Integer, false),
        column("seen", ColumnType::Text, false),
    ],
};

impl ReadModel for Balance {
    const TABLE: &'static TableDescriptor = &TABLE;
    type Key = String;

    fn key(&self) -> String {
        self.account.clone()
    }
    fn key_values(key: &String) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![Value::Text(key.clone())])
    }
    fn to_values(&self) -> Result<Vec<Value>, ColumnError> {
        if self.cents < 0 {
            return Err(ColumnError::new("less than nothing"));
        }
        Ok(vec![Value::Text(self.account.clone()), Value::Integer(self.cents), Value::Text(self.seen.clone())])
    }
    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError> {
        match <[Value; 3]>::try_from(values) {
            Ok([Value::Text(account), Value::Integer(cents), Value::Text(seen)]) => Ok(Self { account, cents, seen }),
            other => Err(ColumnError::new(format!("{other:?}"))),
        }
    }
}

#[derive(Deserialize)]
pub struct Paid {
    pub cents: i64,
    #[serde(default)]
    pub to: Option<String>,
}

pub fn failed(handler: &'static str, cause: &str) -> ProjectionFailure {
    ProjectionFailure::Failed { handler, cause: cause.to_owned() }
}

fn step(
    event: &Recorded<AnyEvent>,
    handler: &'static str,
    to: bool,
    mended: bool,
) -> Result<Step<Balance>, ProjectionFailure> {
    let paid = match serde_json::from_slice::<Paid>(&event.event().body) {
        Ok(paid) => paid,
        Err(_) if mended => Paid { cents: 1, to: None },
        Err(error) => return Err(ProjectionFailure::Decode(crate::event::malformed("paid", 1, &error))),
    };
    let account = paid.to.filter(|_| to).unwrap_or_else(|| event.stream().key().to_owned());
    let (key, version) = (account.clone(), format!("{}/{} ", event.stream().key(), event.version()));
    let fold = move |row: Option<Balance>| {
        if paid.cents == 666 && !mended {
            return Err(failed(handler, "the number of the beast"));
        }
        let mut row = row.unwrap_or(Balance { account, ..Balance::default() });
        row.cents += paid.cents;
        row.seen.push_str(&version);
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

pub const HANDLERS: &[FoldHandler<Balance>] =
    &[|event| step(event, "paid", false, false), |event| step(event, "moved", true, false)];
/// As a later program has them: they heal what those above fail on.
pub const MENDED: &[FoldHandler<Balance>] =
    &[|event| step(event, "paid", false, true), |event| step(event, "moved", true, true)];

pub const fn handler(name: &'static str, event: &'static str, options: HandlerOptions) -> ProjectionHandler {
    ProjectionHandler {
        name,
        category: "account",
        event,
        mode: HandlerMode::Async,
        by_stream: true,
        options,
        dependencies: &[],
    }
}

pub const PLAIN: HandlerOptions = HandlerOptions { monitor: false, retries: None, on_failure: None };

pub const BALANCES: ProjectionDescriptor = ProjectionDescriptor {
    name: "balances",
    version: 1,
    type_name: "Balance",
    style: ProjectionStyle::Folded,
    table: Some(&TABLE),
    partitions: 1,
    renamed_from: None,
    resets: false,
    handlers: &[handler("paid", "paid", PLAIN), handler("moved", "moved", PLAIN)],
};

pub fn balances(projection: &'static ProjectionDescriptor, handlers: &'static [FoldHandler<Balance>]) -> Projections {
    let mut projections = Projections::default();
    projections.folded(Fold::new(projection, handlers));
    projections
}

/// Quick: for tests that wait for what the clock does.
pub fn options() -> SubscriptionOptions {
    SubscriptionOptions {
        lease_timeout: Duration::from_millis(600),
        interval: Duration::from_millis(1),
        poll: Duration::from_millis(100),
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        ..SubscriptionOptions::default()
    }
}

pub async fn start<S: Store>(store: &S, projections: Projections, options: SubscriptionOptions) -> Subscriptions<S> {
    Subscriptions::start(projections, store.clone(), Arc::new(Dependencies::default()), options, true).await.unwrap()
}

pub fn account(key: &str) -> StreamId {
    StreamId::new("account", key)
}

/// Appends events of one kind to a stream, whatever its version is.
pub async fn append(store: &MemoryStore, key: &str, event: &'static str, bodies: &[&str]) -> GlobalPosition {
    let stream = account(key);
    let expected = store.read_stream(&stream, Version::NONE, usize::MAX).await.unwrap().len() as u64;
    let new = |body: &&str| NewEvent {
        id: EventId::new_v7(),
        name: EventName::Static(event),
        schema_version: 1,
        body: (*body).to_owned().into(),
        rules: &[],
    };
    let commit = NewCommit {
        stream,
        expected: Version::new(expected),
        events: bodies.iter().map(new).collect(),
        metadata: Arc::new(Metadata::default()),
        recorded_at: Utc::now(),
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    };
    store.submit(commit).await.await.unwrap().position
}

pub async fn pay(store: &MemoryStore, key: &str, cents: &[i64]) -> GlobalPosition {
    let bodies: Vec<String> = cents.iter().map(|cents| format!("{{\"cents\":{cents}}}")).collect();
    append(store, key, "paid", &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// Waits until a projection has passed a position.
pub async fn passed<S: Store>(subscriptions: &Subscriptions<S>, name: &str, position: GlobalPosition) {
    if let Err(error) = subscriptions.wait_until(name, position, Instant::now() + PATIENCE).await {
        panic!("{error}: {:#?}", *subscriptions.control().health().borrow());
    }
}

/// Waits for a state of health.
pub async fn healthy<S: Store>(subscriptions: &Subscriptions<S>, wanted: impl Fn(&Health) -> bool) -> Health {
    let mut health = subscriptions.control().health();
    let found = tokio::time::timeout(PATIENCE, health.wait_for(wanted)).await;
    let Ok(found) = found else { panic!("{:#?}", *subscriptions.control().health().borrow()) };
    found.unwrap().clone()
}

pub async fn state<S: Store>(subscriptions: &Subscriptions<S>, wanted: impl Fn(&SubscriptionState) -> bool) -> Health {
    healthy(subscriptions, |health| health.subscriptions.iter().all(|it| wanted(&it.state))).await
}

pub async fn row(store: &MemoryStore, version: u32, key: &str) -> Option<Balance> {
    let key = RowKey::new("", &[Value::Text(key.to_owned())]);
    let rows = store.rows(TableRef { table: &TABLE, version }, &[key]).await.unwrap();
    rows.into_iter().next().flatten().map(|row| Balance::from_values(row).unwrap())
}

pub async fn seen(store: &MemoryStore, key: &str) -> String {
    row(store, 1, key).await.map(|row| row.seen.trim_end().to_owned()).unwrap_or_default()
}

pub async fn all_rows(store: &MemoryStore, version: u32) -> Vec<Balance> {
    let rows = store.select(TableRef { table: &TABLE, version }, &Selection::default()).await.unwrap();
    rows.into_iter().map(|row| Balance::from_values(row).unwrap()).collect()
}
