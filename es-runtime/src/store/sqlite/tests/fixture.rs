//! A read model, its projections, and short ways to feed them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::event::{AnyEvent, EventId, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::projection::{
    Fold, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionFailure, ProjectionHandler, ProjectionStyle,
    Projector, Step,
};
use crate::read_model::{
    ColumnDescriptor, ColumnError, ColumnType, ReadModel, RowKey, TableDescriptor, TableRef, Value,
};
use crate::store::{
    AppendError, Batch, BatchWork, Committed, DecisionChain, EventStore as _, History, LeaseRequest, LeaseStore as _,
    NewCommit, NewEvent, NewLetter, PartitionId, ProcessId, RowStore as _, SafePosition, SqliteStore, SyncProjections,
};

/// What an account has. `deposited` adds its body, `noted` keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    pub account: String,
    pub cents: i64,
    pub note: Option<String>,
}

pub static BALANCES: TableDescriptor = TableDescriptor {
    name: "balances",
    columns: &[
        column("account", ColumnType::Text, false, true, false),
        column("cents", ColumnType::Integer, false, false, true),
        column("note", ColumnType::Text, true, false, false),
    ],
};

pub const fn column(name: &'static str, ty: ColumnType, nullable: bool, key: bool, index: bool) -> ColumnDescriptor {
    ColumnDescriptor { name, ty, nullable, key, index }
}

impl ReadModel for Balance {
    const TABLE: &'static TableDescriptor = &BALANCES;
    type Key = String;
    fn key(&self) -> String {
        self.account.clone()
    }
    fn key_values(key: &String) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![Value::Text(key.clone())])
    }
    fn to_values(&self) -> Result<Vec<Value>, ColumnError> {
        if self.cents == 666 {
            return Err(ColumnError::new("666 cannot be stored").of("cents"));
        }
        let note = self.note.clone().map_or(Value::Null, Value::Text);
        Ok(vec![Value::Text(self.account.clone()), Value::Integer(self.cents), note])
    }
    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError> {
        match <[Value; 3]>::try_from(values) {
            Ok([Value::Text(account), Value::Integer(cents), note]) => {
                Ok(Self { account, cents, note: if let Value::Text(note) = note { Some(note) } else { None } })
            }
            other => Err(ColumnError::new(format_args!("{other:?}"))),
        }
    }
}

const fn handler(name: &'static str, mode: HandlerMode) -> ProjectionHandler {
    ProjectionHandler {
        name,
        category: "account",
        event: name,
        mode,
        by_stream: true,
        options: HandlerOptions { monitor: false, retries: None, on_failure: None },
        dependencies: &[],
    }
}

const ASYNC: [ProjectionHandler; 2] = [handler("deposited", HandlerMode::Async), handler("noted", HandlerMode::Async)];
const SYNC: HandlerMode = HandlerMode::Sync { priority: 5, timeout_ms: 200 };
const MIXED: [ProjectionHandler; 2] = [handler("deposited", SYNC), handler("noted", HandlerMode::Async)];

const fn projection(version: u32, partitions: u32, handlers: &'static [ProjectionHandler]) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name: "balances",
        version,
        type_name: "Balances",
        style: ProjectionStyle::Folded,
        table: Some(&BALANCES),
        partitions,
        renamed_from: None,
        resets: false,
        handlers,
    }
}

pub static V1: ProjectionDescriptor = projection(1, 1, &ASYNC);
pub static V2: ProjectionDescriptor = projection(2, 1, &ASYNC);
pub static TWO_PARTITIONS: ProjectionDescriptor = projection(1, 2, &ASYNC);
pub static MIXED_V1: ProjectionDescriptor = projection(1, 1, &MIXED);

/// `-1` fails, `13` panics, `99` takes longer than it may.
fn deposited(event: &Recorded<AnyEvent>) -> Result<Step<Balance>, ProjectionFailure> {
    let key = event.stream().key().to_owned();
    let amount: i64 = body(event)?.parse().map_err(wrong)?;
    let account = key.clone();
    let fold = move |row: Option<Balance>| {
        match amount {
            -1 => return Err(ProjectionFailure::Failed { handler: "deposited", cause: "it was told to".into() }),
            13 => panic!("thirteen"),
            99 => std::thread::sleep(Duration::from_millis(250)),
            _ => {}
        }
        let mut row = row.unwrap_or(Balance { account, cents: 0, note: None });
        row.cents += amount;
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

/// Appends to the note; `gone` deletes the row.
fn noted(event: &Recorded<AnyEvent>) -> Result<Step<Balance>, ProjectionFailure> {
    let key = event.stream().key().to_owned();
    let (account, text) = (key.clone(), body(event)?);
    let fold = move |row: Option<Balance>| {
        if text == "gone" {
            return Ok(None);
        }
        let mut row = row.unwrap_or(Balance { account, cents: 0, note: None });
        // What was there before shows the order in which events were folded.
        row.note = Some(format!("{}{text}@{};", row.note.unwrap_or_default(), row.cents));
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn body(event: &Recorded<AnyEvent>) -> Result<String, ProjectionFailure> {
    String::from_utf8(event.event().body.to_vec()).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> ProjectionFailure {
    ProjectionFailure::Failed { handler: "", cause: error.to_string() }
}

pub fn folded(descriptor: &'static ProjectionDescriptor) -> Arc<dyn Projector> {
    Arc::new(Fold::<Balance>::new(descriptor, &[deposited, noted]))
}

pub fn table(version: u32) -> TableRef {
    TableRef { table: &BALANCES, version }
}

/// A store on a file of its own.
pub struct Bench {
    pub store: SqliteStore,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("es.db")).await.expect("a new file");
        Self { store, folder }
    }

    /// Another handle to the file, as another process has it.
    pub async fn other(&self) -> SqliteStore {
        SqliteStore::open(self.folder.path().join("es.db")).await.expect("the file")
    }

    pub async fn balance(&self, version: u32, account: &str) -> Option<(i64, Option<String>)> {
        balance(&self.store, version, account).await
    }

    /// Reads the log from a position on.
    pub async fn log(&self, after: u64) -> Vec<Recorded<AnyEvent>> {
        self.store.read_all(GlobalPosition::new(after), 1_000).await.expect("the log")
    }

    /// Takes every partition of a version; gives the epoch of the first.
    pub async fn lease(&self, projection: &'static ProjectionDescriptor) -> u64 {
        let wanted = (0..projection.partitions).map(|partition| id(projection, partition)).collect();
        let request = LeaseRequest { process: ProcessId::new(), timeout: Duration::from_mins(1), wanted };
        self.store.lease(&request).await.expect("leases")[0].epoch
    }
}

pub async fn balance(store: &SqliteStore, version: u32, account: &str) -> Option<(i64, Option<String>)> {
    let key = RowKey::new("", &[Value::Text(account.into())]);
    let rows = store.rows(table(version), &[key]).await.expect("rows");
    let row = rows.into_iter().next().flatten()?;
    let row = Balance::from_values(row).expect("a balance");
    Some((row.cents, row.note))
}

pub fn id(projection: &'static ProjectionDescriptor, partition: u32) -> PartitionId {
    PartitionId { name: projection.name.into(), version: projection.version, partition }
}

/// A batch of the first partition that moves its checkpoint.
pub fn batch(projection: &'static ProjectionDescriptor, epoch: u64, from: u64, to: u64, work: BatchWork) -> Batch {
    Batch {
        id: id(projection, 0),
        epoch,
        history: History::new(),
        from: GlobalPosition::new(from),
        to: (to != from).then(|| SafePosition(GlobalPosition::new(to))),
        work,
        letters: Vec::new(),
        parked: Vec::new(),
        settles: None,
        switch: false,
    }
}

pub fn fold(projection: &'static ProjectionDescriptor, events: Vec<Recorded<AnyEvent>>) -> BatchWork {
    BatchWork::Fold { projector: folded(projection), events }
}

pub fn letter(event: &Recorded<AnyEvent>, key: &str, cause: Option<&str>) -> NewLetter {
    NewLetter {
        key: key.into(),
        stream: event.stream().clone(),
        position: event.position(),
        event: event.id(),
        cause: cause.map(Into::into),
        attempts: 1,
        at: chrono::DateTime::UNIX_EPOCH,
    }
}

pub fn commit(account: &str, expected: u64, events: &[(&'static str, &str)]) -> NewCommit {
    let event = |(name, body): &(&'static str, &str)| NewEvent {
        id: EventId::new_v7(),
        name: (*name).into(),
        schema_version: 1,
        body: (*body).to_owned().into(),
        rules: &[],
    };
    NewCommit {
        stream: StreamId::new("account", account),
        expected: Version::new(expected),
        events: events.iter().map(event).collect(),
        metadata: Arc::new(Metadata::default()),
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

pub fn with(mut commit: NewCommit, projections: &Arc<SyncProjections>) -> NewCommit {
    commit.projections = Some(Arc::clone(projections));
    commit
}

pub async fn append(store: &SqliteStore, account: &str, expected: u64, events: &[(&'static str, &str)]) {
    store.submit(commit(account, expected, events)).await.await.expect("it fits");
}

/// Submits commits so that they stand in line together.
pub async fn together(store: &SqliteStore, commits: Vec<NewCommit>) -> Vec<Result<Committed, AppendError>> {
    let mut tickets = Vec::new();
    for commit in commits {
        tickets.push(store.submit(commit).await);
    }
    join_all(tickets).await
}
