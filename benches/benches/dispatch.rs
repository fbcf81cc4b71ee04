//! Dispatch: in memory and on SQLite, alone and with company.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use es_benches::bank::{Bank, Book, Deposit, TEXT};
use es_benches::{Result, fill};
use es_runtime::app::App;
use es_runtime::store::{MemoryStore, SqliteStore, Store};
use futures_util::future::join_all;
use uuid::Uuid;

async fn opened<S: Store>(store: S, accounts: &[Uuid]) -> Result<App<Bank, S>> {
    let app = App::builder(store).build().await?;
    fill::open(&app, accounts).await?;
    Ok(app)
}

fn dispatch(criterion: &mut Criterion) {
    run(criterion).unwrap_or_else(|error| eprintln!("not measured: {error}"));
}

fn run(criterion: &mut Criterion) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let accounts = fill::accounts(1_000);
    let mut group = criterion.benchmark_group("dispatch");
    let app = runtime.block_on(opened(MemoryStore::new(), &accounts))?;
    let account = accounts[0];
    group.bench_function("memory", |bencher| {
        bencher.to_async(&runtime).iter(|| async { app.dispatch(Deposit { account, cents: 1 }).await });
    });
    let app = runtime
        .block_on(async { opened(SqliteStore::open(folder.path().join("bench.db")).await?, &accounts).await })?;
    let book = |account| app.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).into_future();
    group.bench_function("sqlite, alone", |bencher| bencher.to_async(&runtime).iter(|| book(account)));
    group.throughput(Throughput::Elements(64));
    group.bench_function("sqlite, 64 at once", |bencher| {
        bencher.to_async(&runtime).iter(|| join_all(accounts.iter().take(64).copied().map(book)));
    });
    group.finish();
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = dispatch
}
criterion_main!(benches);
