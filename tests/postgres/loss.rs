//! Nothing is lost, doubled or out of order, whatever happens at once: writers in several processes, conflicts, refused commits,
//! transactions that are rolled back, and a transaction of somebody else that is always open.
//!
//! `ES_TEST_LONG=1` makes it ten times as long.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use es_runtime::event::{GlobalPosition, Recorded, StreamId};
use es_runtime::prelude::Uuid;
use es_runtime::store::{EventStore as _, PostgresStore};
use es_runtime::testing::contract::fixture::{commit, event_of, store_one};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::foreign::Foreign;
use super::load::{Load, Refused};
use super::naive::Naive;
use super::{Schema, schema, table};
use crate::crash::child::{Acknowledged, acknowledged};
use crate::place::{Place as _, tell};
use crate::random::Random;

/// Makes the tests ten times as long.
const LONG: &str = "ES_TEST_LONG";

/// Tells a child its number, and how many events it is to store.
const WORK: &str = "ES_TEST_WORK";

/// How many events each of the four tests stores.
fn events() -> u64 {
    let is_long = std::env::var_os(LONG).is_some_and(|set| set == "1");
    if is_long { 130_000 } else { 13_000 }
}

/// The commits that somebody was told are stored.
type Told = Arc<Mutex<Vec<Acknowledged>>>;

macro_rules! with_writers {
    ($($test:ident: $writers:literal,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let schema = schema!();
                nothing_is_lost(&schema, $writers).await;
            }
        )+
    };
}

with_writers! {
    two_writers_lose_nothing: 2,
    four_writers_lose_nothing: 4,
    eight_writers_lose_nothing: 8,
    sixteen_writers_lose_nothing: 16,
}

async fn nothing_is_lost(schema: &Schema, writers: u64) {
    let began = Instant::now();
    let told = Told::default();
    schema.open().await.close().await;
    let naive = Naive::start(schema).await;
    let followers = [7, 300, 5_000].map(|page| Follower::start(schema, page));
    let others = Others::start(schema, writers, &naive, &told);
    // Half of them in processes of their own.
    let children: Vec<_> = (0..writers / 2).map(|child| start(schema, child, events() / writers, &told)).collect();
    let here = (writers / 2..writers).map(|writer| work(schema, writer, events() / writers, &told));
    let refused = join_all(here).await;
    for child in children {
        child.await.unwrap();
    }
    others.end().await;
    // The last event: whoever has seen it has seen all that is to be seen.
    let last = append_last(schema, &told).await;
    let mut connection = schema.connect().await;
    let rows = table::rows(&mut connection).await;
    table::assert_sound(&rows);
    table::assert_as_told(&rows, &told.lock().unwrap());
    let log: Vec<(u64, Uuid)> = rows.iter().map(|row| (row.position, row.id)).collect();
    for follower in followers {
        follower.assert_saw(&log).await;
    }
    let lost = naive.lost(&log, last).await;
    assert!(lost > 0, "the naive reader lost nothing: this test would not notice a loss");
    let sum = |of: fn(&Refused) -> &AtomicU64| -> u64 {
        refused.iter().map(|refused| of(refused).load(Ordering::Relaxed)).sum()
    };
    let (conflicts, claimed, recorded) = (sum(|all| &all.conflicts), sum(|all| &all.claimed), sum(|all| &all.recorded));
    assert!(conflicts > 0 && claimed > 0 && recorded > 0);
    eprintln!(
        "{writers} writers: {} events in {:?}, {} gaps; of the writers here {conflicts} conflicts, {claimed} claims refused, \
         {recorded} repeats; a naive reader lost {lost}",
        log.len(),
        began.elapsed(),
        last - log.len() as u64,
    );
}

async fn append_last(schema: &Schema, told: &Told) -> u64 {
    let store = schema.open().await;
    let last = commit(&StreamId::new("account", "last"), 0, 0);
    let last = es_runtime::store::NewCommit { events: vec![event_of("made", "last 1")], ..last };
    let done = store_one(&store, last).await.unwrap();
    let (version, position) = (done.version.get(), done.position.get());
    let last = Acknowledged { commit: "last".into(), stream: "last".into(), version, position, events: 1 };
    told.lock().unwrap().push(last);
    store.close().await;
    position
}

/// A writer of this process, with a store of its own.
async fn work(schema: &Schema, writer: u64, events: u64, told: &Told) -> Arc<Refused> {
    let (store, told) = (schema.open().await, Arc::clone(told));
    let load = Load::new(store.clone(), writer + 1, events, move |done| told.lock().unwrap().push(done));
    let refused = load.run().await;
    store.close().await;
    refused
}

/// A writer in a process of its own.
fn start(schema: &Schema, writer: u64, events: u64, told: &Told) -> JoinHandle<()> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["postgres::loss::writer", "--exact", "--ignored", "--nocapture"]);
    tell(schema, &mut command);
    let command = command.env(WORK, format!("{writer} {events}")).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child: Child = command.spawn().unwrap();
    let told = Arc::clone(told);
    tokio::task::spawn_blocking(move || {
        let commits = acknowledged(&mut child, |_| false);
        assert!(child.wait().unwrap().success(), "a writer failed");
        told.lock().unwrap().extend(commits);
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that other tests start"]
async fn writer() {
    let (_, schema) = crate::place::told();
    let work = std::env::var(WORK).unwrap();
    let (writer, events) = work.split_once(' ').unwrap();
    let store = Schema::at(&schema).open().await;
    let load =
        Load::new(store.clone(), writer.parse::<u64>().unwrap() + 1, events.parse().unwrap(), |done| print(&done));
    load.run().await;
    store.close().await;
}

/// A line as `acknowledged` reads it.
fn print(done: &Acknowledged) {
    use std::io::Write as _;
    let Acknowledged { commit, stream, version, position, events } = done;
    let line = format!("\nack {commit} {stream} {version} {position} {events}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// A reader that follows the log with a store of its own, from its beginning.
struct Follower(JoinHandle<Vec<(u64, Uuid)>>);

impl Follower {
    fn start(schema: &Schema, page: usize) -> Self {
        let schema = Schema::at(&schema.address());
        Self(tokio::spawn(async move {
            let store = schema.open().await;
            let seen = follow(&store, page).await;
            store.close().await;
            seen
        }))
    }

    async fn assert_saw(self, log: &[(u64, Uuid)]) {
        let seen = self.0.await.unwrap();
        let differs = seen.iter().zip(log).position(|(seen, there)| seen != there);
        let around = differs.map(|at| (at, &seen[at..seen.len().min(at + 3)], &log[at..log.len().min(at + 3)]));
        assert_eq!(around, None, "what was seen first differs from the log here");
        assert_eq!(seen.len(), log.len());
    }
}

async fn follow(store: &PostgresStore, limit: usize) -> Vec<(u64, Uuid)> {
    let (mut watch, mut after, mut seen) = (store.watch(), GlobalPosition::START, Vec::new());
    let patience = Duration::from_secs(120);
    let mut last = Instant::now();
    loop {
        watch.mark_unchanged();
        let page = store.read_all(after, limit).await.unwrap();
        after = page.last().map_or(after, Recorded::position);
        seen.extend(page.iter().map(|event| (event.position().get(), *event.id().as_uuid())));
        if page.iter().any(|event| event.stream().key() == "last") {
            return seen;
        }
        if page.is_empty() {
            assert!(last.elapsed() < patience, "nothing came for {patience:?} behind {after}");
            let _ = tokio::time::timeout(store.poll_interval().unwrap(), watch.changed()).await;
        } else {
            last = Instant::now();
        }
    }
}

/// Others at work in the same schema: one transaction is always open, and some are rolled back.
struct Others {
    ended: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Others {
    fn start(schema: &Schema, seed: u64, naive: &Naive, told: &Told) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let at = || (Schema::at(&schema.address()), Arc::clone(&ended));
        let (long, short) = (at(), at());
        let (cursor, told) = (Arc::clone(&naive.cursor), Arc::clone(told));
        let tasks = vec![
            tokio::spawn(async move { stay_open(&long.0, seed, &long.1, &cursor, &told).await }),
            tokio::spawn(async move { roll_back(&short.0, seed, &short.1).await }),
        ];
        Self { ended, tasks }
    }

    async fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// One transaction after the other, each begun before the last one ends. A third of them is rolled back.
async fn stay_open(schema: &Schema, seed: u64, ended: &AtomicBool, naive: &AtomicU64, told: &Told) {
    let mut random = Random::new(seed);
    let mut open = Foreign::begin(schema).await;
    let mut number = 0;
    while !ended.load(Ordering::SeqCst) {
        number += 1;
        let reserved = if random.below(2) == 0 { Some(open.reserve(2).await) } else { None };
        if reserved.is_some() {
            tokio::time::sleep(Duration::from_millis(random.below(50))).await;
        }
        let (name, stream) = (format!("foreign-{number}"), format!("foreign-{number}"));
        let bodies = vec![format!("{name} 2"); 2];
        let positions = open.append(reserved.as_deref(), &StreamId::new("account", &*stream), &bodies).await;
        tokio::time::sleep(Duration::from_millis(30 + random.below(970) / (1 + random.below(8)))).await;
        let next = Foreign::begin(schema).await;
        if number % 3 == 0 {
            open.roll_back().await;
        } else {
            if number == 1 {
                // Whoever does not wait for it has passed it by now.
                passed(naive, positions[1].cast_unsigned()).await;
            }
            open.commit().await;
            let position = positions[1].cast_unsigned();
            told.lock().unwrap().push(Acknowledged { commit: name, stream, version: 2, position, events: 2 });
        }
        open = next;
    }
    open.roll_back().await;
}

async fn passed(cursor: &AtomicU64, position: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while cursor.load(Ordering::SeqCst) <= position {
        assert!(Instant::now() < deadline, "nothing is committed behind an open transaction");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Short transactions that append, or only take positions, and are rolled back.
async fn roll_back(schema: &Schema, seed: u64, ended: &AtomicBool) {
    let mut random = Random::new(seed + 1);
    while !ended.load(Ordering::SeqCst) {
        let mut open = Foreign::begin(schema).await;
        if random.below(2) == 0 {
            open.reserve(1 + i32::try_from(random.below(5)).unwrap()).await;
        } else {
            open.append(None, &StreamId::new("account", "rolled back"), &["never 1".to_owned()]).await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        open.roll_back().await;
        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
    }
}
