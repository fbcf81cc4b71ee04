//! The read model of the checks, and its projections.
#![expect(clippy::unnecessary_wraps, reason = "the functions of a projection have one type")]

use std::time::Duration;

use crate::event::{AnyEvent, Recorded};
use crate::private::{column, read_column, write_column};
use crate::projection::{
    FoldHandler, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionFailure, ProjectionHandler,
    ProjectionStyle, Step,
};
use crate::read_model::{Column, ColumnCodec, ColumnError, ReadModel, TableDescriptor, Value};

/// A row: what the events of an account came to, and which they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// What is on it.
    pub cents: i64,
    /// The events that were projected: their versions.
    pub history: String,
    /// A number; NaN cannot be stored.
    pub rate: f64,
}

const fn codec<T: Column>() -> ColumnCodec<T> {
    ColumnCodec { ty: T::TYPE, nullable: T::NULLABLE, to_value: T::to_value, from_value: T::from_value }
}

/// The table of [`Balance`].
pub static BALANCES: TableDescriptor = TableDescriptor {
    name: "balances",
    columns: &[
        column("account", &codec::<String>(), true, false),
        column("cents", &codec::<i64>(), false, true),
        column("history", &codec::<String>(), false, false),
        column("rate", &codec::<f64>(), false, false),
    ],
};

/// The same columns in another table.
static PARTED_BALANCES: TableDescriptor = TableDescriptor { name: "parted_balances", columns: BALANCES.columns };
static SHARED_BALANCES: TableDescriptor = TableDescriptor { name: "shared_balances", columns: BALANCES.columns };
static OTHER_BALANCES: TableDescriptor = TableDescriptor { name: "other_balances", columns: BALANCES.columns };

impl ReadModel for Balance {
    const TABLE: &'static TableDescriptor = &BALANCES;
    type Key = String;

    fn key(&self) -> String {
        self.account.clone()
    }

    fn key_values(key: &String) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![write_column("account", &codec(), key)?])
    }

    fn to_values(&self) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![
            write_column("account", &codec(), &self.account)?,
            write_column("cents", &codec(), &self.cents)?,
            write_column("history", &codec(), &self.history)?,
            write_column("rate", &codec(), &self.rate)?,
        ])
    }

    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError> {
        let values = &mut values.into_iter();
        Ok(Self {
            account: read_column("account", &codec(), values)?,
            cents: read_column("cents", &codec(), values)?,
            history: read_column("history", &codec(), values)?,
            rate: read_column("rate", &codec(), values)?,
        })
    }
}

impl Balance {
    /// A row on which nothing happened yet.
    #[must_use]
    pub fn new(account: &str) -> Self {
        Self { account: account.to_owned(), cents: 0, history: String::new(), rate: 0.5 }
    }

    fn note(mut self, event: &Recorded<AnyEvent>) -> Self {
        self.history.push_str(&event.version().to_string());
        self.history.push(' ');
        self
    }
}

type Stepped = Result<Step<Balance>, ProjectionFailure>;

fn cents(event: &Recorded<AnyEvent>) -> i64 {
    body(event)["cents"].as_i64().unwrap_or(1)
}

fn body(event: &Recorded<AnyEvent>) -> serde_json::Value {
    serde_json::from_slice(&event.event().body).unwrap_or_default()
}

/// Changes the row of the event's stream.
fn change(event: &Recorded<AnyEvent>, change: impl FnOnce(&mut Balance) + Send + 'static) -> Stepped {
    let (event, key) = (event.clone(), event.stream().key().to_owned());
    let fold = move |row: Option<Balance>| {
        let key = event.stream().sequence_key();
        let mut row = row.ok_or(ProjectionFailure::RowMissing { handler: "change", table: "balances", key })?;
        change(&mut row);
        Ok(Some(row.note(&event)))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn opened(event: &Recorded<AnyEvent>) -> Stepped {
    let (event, key) = (event.clone(), event.stream().key().to_owned());
    let fold = move |row: Option<Balance>| match row {
        None => Ok(Some(Balance::new(event.stream().key()).note(&event))),
        Some(row) => Err(ProjectionFailure::RowExists { handler: "opened", table: "balances", key: row.account }),
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn deposited(event: &Recorded<AnyEvent>) -> Stepped {
    let cents = cents(event);
    change(event, move |row| row.cents += cents)
}

fn withdrawn(event: &Recorded<AnyEvent>) -> Stepped {
    let cents = cents(event);
    change(event, move |row| row.cents -= cents)
}

/// What leaves the account of the stream, and what comes to another: two functions that take one event.
fn received(event: &Recorded<AnyEvent>) -> Stepped {
    let (event, cents) = (event.clone(), cents(event));
    let key = body(&event)["to"].as_str().unwrap_or_default().to_owned();
    let account = key.clone();
    let fold = move |row: Option<Balance>| {
        let mut row = row.unwrap_or_else(|| Balance::new(&account)).note(&event);
        row.cents += cents;
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn closed(event: &Recorded<AnyEvent>) -> Stepped {
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(|_| Ok(None)) })
}

fn spoiled(event: &Recorded<AnyEvent>) -> Stepped {
    let fold = |_| Err(ProjectionFailure::Failed { handler: "spoiled", cause: "it is spoiled".to_owned() });
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(fold) })
}

fn panicked(event: &Recorded<AnyEvent>) -> Stepped {
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(|_| panic!("a fold panics")) })
}

fn slow(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |_| std::thread::sleep(Duration::from_millis(30)))
}

fn immeasurable(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |row| row.rate = f64::NAN)
}

fn measured(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |row| row.rate = 0.5)
}

const fn handler(name: &'static str, event: &'static str, timeout_ms: Option<u32>) -> ProjectionHandler {
    let mode = match timeout_ms {
        Some(timeout_ms) => HandlerMode::Sync { priority: 5, timeout_ms },
        None => HandlerMode::Async,
    };
    ProjectionHandler {
        name,
        category: "account",
        event,
        mode,
        by_stream: true,
        options: HandlerOptions { monitor: false, retries: None, on_failure: None },
        dependencies: &[],
    }
}

static HANDLERS: [ProjectionHandler; 12] = [
    handler("opened", "opened", Some(2_000)),
    handler("deposited", "deposited", None),
    handler("withdrawn", "withdrawn", Some(2_000)),
    handler("sent", "moved", None),
    handler("received", "moved", None),
    handler("closed", "closed", Some(2_000)),
    handler("spoiled", "spoiled", None),
    handler("refused", "refused", Some(2_000)),
    handler("panicked", "panicked", Some(2_000)),
    handler("slow", "slow", Some(5)),
    handler("immeasurable", "immeasurable", Some(2_000)),
    handler("measured", "measured", Some(2_000)),
];
static FOLDS: [FoldHandler<Balance>; 12] = [
    opened,
    deposited,
    withdrawn,
    withdrawn,
    received,
    closed,
    spoiled,
    spoiled,
    panicked,
    slow,
    immeasurable,
    measured,
];

const fn projection(
    name: &'static str,
    version: u32,
    table: &'static TableDescriptor,
    partitions: u32,
) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name,
        version,
        type_name: "Balance",
        style: ProjectionStyle::Folded,
        table: Some(table),
        partitions,
        renamed_from: None,
        resets: false,
        handlers: &HANDLERS,
    }
}

/// Writes an amount down on a row that the event names: any stream may.
fn put(event: &Recorded<AnyEvent>) -> Stepped {
    let (cents, key) = (cents(event), body(event)["to"].as_str().unwrap_or_default().to_owned());
    let account = key.clone();
    let fold = move |row: Option<Balance>| {
        let mut row = row.unwrap_or_else(|| Balance::new(&account));
        row.cents = cents;
        row.history.extend([&cents.to_string(), " "]);
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

static SHARING: [ProjectionHandler; 2] = [
    ProjectionHandler { by_stream: false, ..handler("put", "put", Some(2_000)) },
    ProjectionHandler { by_stream: false, ..handler("spoiled", "spoiled", Some(2_000)) },
];

/// Gives the functions of a projection's descriptor.
pub(super) fn folds(projection: &ProjectionDescriptor) -> &'static [FoldHandler<Balance>] {
    static SHARED_FOLDS: [FoldHandler<Balance>; 2] = [put, spoiled];
    if projection.name == "shared" { &SHARED_FOLDS[..projection.handlers.len()] } else { &FOLDS }
}

const fn sharing(version: u32, handlers: &'static [ProjectionHandler]) -> ProjectionDescriptor {
    ProjectionDescriptor { handlers, ..projection("shared", version, &SHARED_BALANCES, 1) }
}

/// [`SHARED`] without its second function, by a program that did not raise the version.
pub static SHARED_LESS: ProjectionDescriptor = sharing(1, SHARING.split_at(1).0);

/// A synchronous projection whose rows are shared by streams: `put:5:row`.
pub static SHARED: ProjectionDescriptor = sharing(1, &SHARING);
/// Its second version.
pub static SHARED_SECOND: ProjectionDescriptor = sharing(2, &SHARING);

/// A projection with synchronous and asynchronous functions.
pub static FIRST: ProjectionDescriptor = projection("balances", 1, &BALANCES, 1);
/// Its second version.
pub static SECOND: ProjectionDescriptor = projection("balances", 2, &BALANCES, 1);
/// The same in four partitions.
pub static PARTED: ProjectionDescriptor = projection("parted", 1, &PARTED_BALANCES, 4);
/// Its second version.
pub static PARTED_SECOND: ProjectionDescriptor = projection("parted", 2, &PARTED_BALANCES, 4);
/// Another projection.
pub static OTHER: ProjectionDescriptor = projection("other", 1, &OTHER_BALANCES, 1);
