//! Replay: loading aggregates and reading the log from SQLite.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use es_benches::bank::{Account, Bank};
use es_benches::{Result, fill};
use es_runtime::app::App;
use es_runtime::event::GlobalPosition;
use es_runtime::store::sqlite::Durability;
use es_runtime::store::{EventStore as _, SqliteStore};
use uuid::Uuid;

fn replay(criterion: &mut Criterion) {
    run(criterion).unwrap_or_else(|error| eprintln!("not measured: {error}"));
}

fn run(criterion: &mut Criterion) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let (long, short) = (Uuid::now_v7(), fill::accounts(100));
    let app = runtime.block_on(async {
        let options = SqliteStore::options().durability(Durability::ProcessCrash);
        let store = options.open(folder.path().join("bench.db")).await?;
        fill::mixed(&store, long, 10_000, &short, 100).await?;
        Ok::<_, es_benches::Error>(App::<Bank, _>::builder(store).build().await?)
    })?;
    let mut group = criterion.benchmark_group("replay");
    for (name, account, events) in [("10,000 events", long, 10_000), ("100 events", short[50], 100)] {
        group.throughput(Throughput::Elements(events));
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| app.load::<Account>(account).into_future());
        });
    }
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("page of the log", |bencher| {
        bencher.to_async(&runtime).iter(|| app.store().read_all(GlobalPosition::new(5_000), 1_000));
    });
    group.finish();
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = replay
}
criterion_main!(benches);
