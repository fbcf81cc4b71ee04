//! Append: the stores alone, with a group of commits in line.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use es_benches::bank::{Account, EntryBooked};
use es_benches::{Result, fill};
use es_runtime::aggregate::Aggregate as _;
use es_runtime::event::{DomainEvent as _, StreamId};
use es_runtime::store::{EventStore, MemoryStore, SqliteStore};

fn append(criterion: &mut Criterion) {
    run(criterion).unwrap_or_else(|error| eprintln!("not measured: {error}"));
}

fn run(criterion: &mut Criterion) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let sqlite = runtime.block_on(SqliteStore::open(folder.path().join("bench.db")))?;
    let streams: Vec<StreamId> = fill::accounts(256).iter().map(Account::stream).collect();
    let memory_turn = AtomicU64::new(0);
    let memory = MemoryStore::new();
    let sqlite_turn = AtomicU64::new(0);
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(streams.len() as u64));
    group.bench_function("memory, 256 commits", |bencher| {
        bencher.to_async(&runtime).iter(|| one_each(&memory, &streams, &memory_turn));
    });
    group.bench_function("sqlite, 256 commits", |bencher| {
        bencher.to_async(&runtime).iter(|| one_each(&sqlite, &streams, &sqlite_turn));
    });
    group.finish();
    Ok(())
}

/// Appends one event to each stream.
async fn one_each(store: &impl EventStore, streams: &[StreamId], turn: &AtomicU64) -> Result<()> {
    let version = turn.fetch_add(1, Ordering::Relaxed);
    let mut tickets = Vec::with_capacity(streams.len());
    for stream in streams {
        tickets.push(store.submit(fill::commit(stream, version, EntryBooked::NAME, fill::booked(1)?)).await);
    }
    for ticket in tickets {
        ticket.await?;
    }
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = append
}
criterion_main!(benches);
