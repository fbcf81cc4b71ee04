//! Reading through `Table`, on the store in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use super::example::AccountBalance;
use super::{
    Cursor, ReadModel, ReadModelError, RowChange, RowKey, Rows, Selection, Table, TableDescriptor, TableRef, Value,
    WriteSet,
};
use crate::event::GlobalPosition;
use crate::projection::{BoxFuture, ProjectionDescriptor, ProjectionStyle};
use crate::store::{
    Batch, BatchWork, CheckpointStore as _, EventStore as _, LeaseRequest, LeaseStore as _, MemoryStore, PartitionId,
    ProcessId, ProjectionRegistry as _, RowStore as _, StoreError,
};

const fn projection(version: u32) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name: "account_balances",
        version,
        type_name: "AccountBalance",
        style: ProjectionStyle::Folded,
        table: Some(AccountBalance::TABLE),
        partitions: 1,
        renamed_from: None,
        resets: false,
        handlers: &[],
    }
}
static FIRST: ProjectionDescriptor = projection(1);
static SECOND: ProjectionDescriptor = projection(2);

async fn write(store: &MemoryStore, version: u32, tenant: &str, rows: &[AccountBalance], switch: bool) {
    let id = PartitionId { name: "account_balances".into(), version, partition: 0 };
    let process = ProcessId::new();
    let request = LeaseRequest { process, timeout: std::time::Duration::MAX, wanted: vec![id.clone()] };
    let epoch = store.lease(&request).await.unwrap()[0].epoch;
    let changes = rows.iter().map(|row| RowChange {
        key: AccountBalance::row_key(tenant, &row.account).unwrap(),
        row: Some(row.to_values().unwrap()),
        version: 1.into(),
        position: GlobalPosition::new(1),
    });
    let table = TableRef { table: AccountBalance::TABLE, version };
    let batch = Batch {
        id,
        epoch,
        history: store.history(),
        from: GlobalPosition::START,
        to: None,
        work: BatchWork::Rows(WriteSet { table, changes: changes.collect() }),
        letters: Vec::new(),
        parked: Vec::new(),
        settles: None,
        switch,
    };
    store.project(batch).await.unwrap();
    store.leave(process).await.unwrap();
}

/// The store's rows, with a say in which table serves.
struct StoreRows<F> {
    store: MemoryStore,
    resolve: F,
}

impl<F: Fn(&'static TableDescriptor) -> Resolved + Send + Sync + 'static> Rows for StoreRows<F> {
    fn table(&self, table: &'static TableDescriptor, _: bool) -> BoxFuture<'_, Result<TableRef, ReadModelError>> {
        (self.resolve)(table)
    }

    fn rows<'a>(
        &'a self,
        table: TableRef,
        keys: &'a [RowKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<Value>>>, StoreError>> {
        Box::pin(self.store.rows(table, keys))
    }

    fn select<'a>(
        &'a self,
        table: TableRef,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Vec<Value>>, StoreError>> {
        Box::pin(self.store.select(table, selection))
    }

    fn count<'a>(&'a self, table: TableRef, selection: &'a Selection) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.store.count(table, selection))
    }
}

type Resolved = BoxFuture<'static, Result<TableRef, ReadModelError>>;

fn table(
    store: &MemoryStore,
    resolve: impl Fn(&'static TableDescriptor) -> Resolved + Send + Sync + 'static,
) -> Table<AccountBalance> {
    Table { rows: Arc::new(StoreRows { store: store.clone(), resolve }), tenant: "".into(), row: PhantomData }
}

fn version(table: &'static TableDescriptor, version: u32) -> Resolved {
    Box::pin(std::future::ready(Ok(TableRef { table, version })))
}

fn row(number: u128, owner: &str, cents: i64, branch: Option<&str>) -> AccountBalance {
    let (owner, branch) = (owner.to_owned(), branch.map(str::to_owned));
    AccountBalance { account: Uuid::from_u128(number), owner, cents, active: number.is_multiple_of(2), branch }
}

fn rows() -> Vec<AccountBalance> {
    vec![
        row(1, "Ann", 500, Some("BER")),
        row(2, "Bob", 100, None),
        row(3, "Ann", 100, Some("BRE")),
        row(4, "Änne", -7, Some("BER")),
        row(5, "ann", 500, None),
    ]
}

async fn balances() -> Table<AccountBalance> {
    let store = MemoryStore::new();
    store.register(&FIRST, None).await.unwrap();
    write(&store, 1, "", &rows(), false).await;
    write(&store, 1, "acme", &[row(1, "Zoe", 1, None), row(9, "Zoe", 2, None)], false).await;
    table(&store, |table| version(table, 1))
}

fn numbers(rows: &[AccountBalance]) -> Vec<u128> {
    rows.iter().map(|row| row.account.as_u128()).collect()
}

#[tokio::test]
async fn rows_are_read_by_their_keys() {
    let balances = balances().await;
    assert_eq!(balances.get(&Uuid::from_u128(3)).await.unwrap(), Some(rows()[2].clone()));
    assert_eq!(balances.get(&Uuid::from_u128(9)).await.unwrap(), None);
    let found = balances.get_many(&[5, 9, 1].map(Uuid::from_u128)).await.unwrap();
    assert_eq!(found, [Some(rows()[4].clone()), None, Some(rows()[0].clone())]);
}

#[tokio::test]
async fn the_list_is_whole_and_in_the_order_of_keys() {
    let balances = balances().await;
    assert_eq!(balances.list().await.unwrap(), rows());
    assert_eq!(balances.count().await.unwrap(), 5);
}

#[tokio::test]
async fn another_tenant_has_other_rows() {
    let acme = balances().await.of_tenant("acme");
    assert_eq!(numbers(&acme.list().await.unwrap()), [1, 9]);
    assert_eq!(acme.get(&Uuid::from_u128(1)).await.unwrap().unwrap().owner, "Zoe");
    assert_eq!(acme.get(&Uuid::from_u128(2)).await.unwrap(), None);
    assert_eq!(acme.of_tenant("acm").count().await.unwrap(), 0);
}

#[tokio::test]
async fn every_condition_selects_what_it_says() {
    type B = AccountBalance;
    let balances = balances().await;
    let cases = [
        (B::ACTIVE.eq(true), vec![2, 4]),
        (B::OWNER.eq("Ann".into()), vec![1, 3]),
        (B::OWNER.ne("Ann".into()), vec![2, 4, 5]),
        (B::CENTS.lt(100), vec![4]),
        (B::CENTS.le(100), vec![2, 3, 4]),
        (B::CENTS.gt(100), vec![1, 5]),
        (B::CENTS.ge(100), vec![1, 2, 3, 5]),
        (B::CENTS.is_in([100, -7, 8]), vec![2, 3, 4]),
        (B::CENTS.is_in([]), vec![]),
        (B::OWNER.starts_with("An"), vec![1, 3]),
        (B::OWNER.starts_with(""), vec![1, 2, 3, 4, 5]),
        (B::OWNER.starts_with("%n"), vec![]),
        (B::BRANCH.starts_with("B"), vec![1, 3, 4]),
        (B::BRANCH.is_null(), vec![2, 5]),
        (B::BRANCH.is_not_null(), vec![1, 3, 4]),
        (B::BRANCH.eq(None), vec![2, 5]),
        (B::BRANCH.ne(Some("BER".into())), vec![2, 3, 5]),
        (B::BRANCH.gt(Some("BER".into())), vec![3]),
        (B::ACCOUNT.ge(Uuid::from_u128(4)), vec![4, 5]),
    ];
    for (condition, expected) in cases {
        let text = format!("{condition:?}");
        let found = balances.query().filter(condition).all().await.unwrap();
        assert_eq!(numbers(&found), expected, "{text}");
    }
}

#[tokio::test]
async fn conditions_are_joined_and_counted() {
    let balances = balances().await;
    let query = || balances.query().filter(AccountBalance::CENTS.eq(500)).filter(AccountBalance::BRANCH.is_null());
    assert_eq!(numbers(&query().all().await.unwrap()), [5]);
    assert_eq!(query().limit(0).count().await.unwrap(), 1);
}

#[tokio::test]
async fn orders_are_total_and_limits_hold() {
    let balances = balances().await;
    let query = || balances.query().order_by(AccountBalance::BRANCH.desc()).order_by(AccountBalance::CENTS.asc());
    assert_eq!(numbers(&query().all().await.unwrap()), [3, 4, 1, 2, 5]);
    assert_eq!(numbers(&query().limit(2).all().await.unwrap()), [3, 4]);
    assert_eq!(query().first().await.unwrap().unwrap().account.as_u128(), 3);
    let empty = balances.query().filter(AccountBalance::CENTS.eq(9)).first().await.unwrap();
    assert_eq!(empty, None);
}

#[tokio::test]
async fn pages_of_every_size_give_each_row_once() {
    let balances = balances().await;
    for size in 0..7 {
        let mut found = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let query = balances.query().order_by(AccountBalance::CENTS.desc()).after(after.take());
            let page = query.page(size).await.unwrap();
            found.extend(numbers(&page.rows));
            // As it travels through a URL.
            after = page.next.map(|cursor| cursor.to_string().parse().unwrap());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, [1, 5, 2, 3, 4], "pages of {size}");
    }
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused() {
    let balances = balances().await;
    let by = |order| balances.query().order_by(order);
    let cursor = by(AccountBalance::CENTS.asc()).page(1).await.unwrap().next.unwrap();
    let json = serde_json::to_string(&cursor).unwrap();
    let cursor: Cursor = serde_json::from_str(&json).unwrap();
    for query in [by(AccountBalance::CENTS.desc()), by(AccountBalance::OWNER.asc()), balances.query()] {
        let refused = query.after(cursor.clone()).page(1).await;
        assert!(matches!(refused, Err(ReadModelError::Cursor { .. })), "{refused:?}");
    }
    by(AccountBalance::CENTS.asc()).after(cursor).page(1).await.unwrap();
}

#[tokio::test]
async fn a_damaged_cursor_is_refused() {
    let balances = balances().await;
    let text = balances.query().page(2).await.unwrap().next.unwrap().to_string();
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text} fits into a URL");
    for place in 0..text.len() {
        let mut damaged = text.clone();
        damaged.replace_range(place..=place, if &text[place..=place] == "A" { "B" } else { "A" });
        let parsed = damaged.parse::<Cursor>();
        assert!(matches!(parsed, Err(ReadModelError::Cursor { .. })), "{damaged}");
        assert!(text[..place].parse::<Cursor>().is_err());
    }
}

#[tokio::test]
async fn a_table_that_was_dropped_is_looked_up_once_more() {
    let store = MemoryStore::new();
    store.register(&FIRST, None).await.unwrap();
    store.register(&SECOND, None).await.unwrap();
    write(&store, 2, "", &rows()[..2], true).await;
    assert_eq!(store.drop_retired("account_balances").await.unwrap(), 1);
    let asked = Arc::new(AtomicU32::new(0));
    let balances = table(&store, {
        let asked = Arc::clone(&asked);
        move |table| version(table, asked.fetch_add(1, Ordering::SeqCst) + 1)
    });
    assert_eq!(numbers(&balances.list().await.unwrap()), [1, 2]);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // A third version is not there, and neither is a fourth.
    let gone = balances.count().await;
    assert!(matches!(gone, Err(ReadModelError::Store(StoreError::Gone { .. }))), "{gone:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

/// Query handlers are spawned.
#[tokio::test]
async fn reads_can_be_sent_to_another_thread() {
    let balances = balances().await;
    tokio::spawn(async move {
        let key = Uuid::from_u128(1);
        balances.get(&key).await.unwrap();
        balances.count().await.unwrap();
        balances.query().filter(AccountBalance::ACTIVE.eq(true)).page(1).await.unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_page_behind_a_switch_is_refused() {
    let store = MemoryStore::new();
    store.register(&FIRST, None).await.unwrap();
    write(&store, 1, "", &rows(), false).await;
    let serving = Arc::new(AtomicU32::new(1));
    let balances = table(&store, {
        let serving = Arc::clone(&serving);
        move |table| version(table, serving.load(Ordering::SeqCst))
    });
    let first = balances.query().page(1).await.unwrap();
    let second = balances.query().after(first.next.clone()).page(1).await.unwrap();
    store.register(&SECOND, None).await.unwrap();
    write(&store, 2, "", &rows(), true).await;
    serving.store(2, Ordering::SeqCst);
    for cursor in [first.next, second.next] {
        let refused = balances.query().after(cursor).page(1).await;
        let Err(ReadModelError::Switched { table, before: 1, now: 2 }) = &refused else { panic!("{refused:?}") };
        assert_eq!(*table, "account_balances");
    }
    // From the start it is one table again.
    let first = balances.query().page(1).await.unwrap();
    balances.query().after(first.next).page(1).await.unwrap();
}
