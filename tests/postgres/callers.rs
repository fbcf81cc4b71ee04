//! Callers whose store is in trouble: each goes on until it is told to end, and remembers what it was told.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use es_runtime::event::{GlobalPosition, StreamId};
use es_runtime::store::{AppendError, Committed, EventStore as _, NewCommit, PostgresStore};
use es_runtime::testing::contract::fixture::{commit, event_of, whole_log};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::{Schema, table};
use crate::crash::child::Acknowledged;

/// How long a commit may take in the worst of troubles.
const PATIENCE: Duration = Duration::from_secs(90);

const CALLERS: usize = 8;

/// A commit of two events whose bodies name it.
pub fn named(name: &str, stream: &StreamId, expected: u64) -> NewCommit {
    let events = vec![event_of("made", format!("{name} 2")), event_of("made", format!("{name} 2"))];
    NewCommit { events, ..commit(stream, expected, 0) }
}

/// Stores one commit in line behind others; says what the caller was told.
pub async fn submit(store: &PostgresStore, new: NewCommit) -> Result<Committed, AppendError> {
    let answer = tokio::time::timeout(PATIENCE, store.submit(new).await).await;
    answer.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}"))
}

/// What all callers were told.
#[derive(Default)]
struct Told {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Commits of which nobody can say whether they are stored.
    uncertain: Mutex<HashSet<String>>,
    refused: AtomicU64,
    longest: Mutex<Duration>,
    ended: AtomicBool,
}

/// Callers and a reader of one store.
pub struct Callers {
    store: PostgresStore,
    told: Arc<Told>,
    callers: Vec<JoinHandle<()>>,
    reader: JoinHandle<Vec<u64>>,
}

/// What became of their commits.
pub struct Figures {
    pub acknowledged: usize,
    pub refused: u64,
    pub uncertain: usize,
    /// The longest that a caller waited.
    pub longest: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, refused, uncertain, longest } = self;
        write!(
            f,
            "{acknowledged} acknowledged, {refused} refused, {uncertain} uncertain, the longest wait was {longest:?}"
        )
    }
}

impl Callers {
    pub fn start(store: &PostgresStore) -> Self {
        let told = Arc::<Told>::default();
        let callers = (0..CALLERS).map(|caller| tokio::spawn(call(store.clone(), caller, Arc::clone(&told)))).collect();
        let reader = tokio::spawn(read(store.clone()));
        Self { store: store.clone(), told, callers, reader }
    }

    pub fn acknowledged(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more commits are acknowledged: the store works.
    pub async fn more(&self, commits: usize) {
        let (deadline, enough) = (Instant::now() + PATIENCE, self.acknowledged() + commits);
        while self.acknowledged() < enough {
            assert!(Instant::now() < deadline, "the store does not go on");
            assert!(self.callers.iter().all(|caller| !caller.is_finished()), "a caller failed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the callers. Asserts that what they were told is what is stored, and that the reader saw it all.
    pub async fn end(self, schema: &Schema) -> Figures {
        self.told.ended.store(true, Ordering::SeqCst);
        for caller in join_all(self.callers).await {
            caller.unwrap();
        }
        let stream = StreamId::new("account", "last");
        submit(&self.store, named("last", &stream, 0)).await.expect("the store works again by itself");
        let seen = tokio::time::timeout(PATIENCE, self.reader).await.expect("the reader sees the last commit").unwrap();
        let rows = table::rows(&mut schema.connect().await).await;
        table::assert_sound(&rows);
        assert_eq!(seen, rows.iter().map(|row| row.position).collect::<Vec<_>>(), "what the reader saw");
        let log = whole_log(&self.store, 1_000).await;
        assert_eq!(seen, log.iter().map(|event| event.position().get()).collect::<Vec<_>>(), "what stands in the log");
        let uncertain = self.told.uncertain.lock().unwrap();
        let certain = rows.into_iter().filter(|row| row.stream.starts_with("caller-") && !row.is_of_one(&uncertain));
        let certain: Vec<_> = certain.collect();
        let acknowledged = self.told.acknowledged.lock().unwrap();
        table::assert_as_told(&certain, &acknowledged);
        Figures {
            acknowledged: acknowledged.len(),
            refused: self.told.refused.load(Ordering::SeqCst),
            uncertain: uncertain.len(),
            longest: *self.told.longest.lock().unwrap(),
        }
    }
}

/// Commits to a stream of its own, one after the other. Whatever is refused must not be there: the next commit stands on the same version.
async fn call(store: PostgresStore, caller: usize, told: Arc<Told>) {
    let (mut stream, mut version) = (StreamId::new("account", format!("caller-{caller}")), 0);
    for index in 0.. {
        if told.ended.load(Ordering::SeqCst) {
            return;
        }
        let (name, began) = (format!("{caller}-{index}"), Instant::now());
        match submit(&store, named(&name, &stream, version)).await {
            Ok(done) => {
                let (key, position) = (stream.key().to_owned(), done.position.get());
                version = done.version.get();
                let done = Acknowledged { commit: name, stream: key, version, position, events: 2 };
                told.acknowledged.lock().unwrap().push(done);
            }
            Err(AppendError::Store(error)) if error.is_retryable() => drop(told.refused.fetch_add(1, Ordering::SeqCst)),
            Err(AppendError::Uncertain { .. }) => {
                (stream, version) = (StreamId::new("account", format!("caller-{caller}-{index}")), 0);
                told.uncertain.lock().unwrap().insert(name);
            }
            Err(other) => panic!("commit {name}: {other:?}"),
        }
        let mut longest = told.longest.lock().unwrap();
        *longest = began.elapsed().max(*longest);
    }
}

/// Reads on behind what it has read, to the last commit. Gives the positions it saw.
async fn read(store: PostgresStore) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let after = seen.last().copied().unwrap_or(0);
        match store.read_all(GlobalPosition::new(after), 50).await {
            Ok(page) => {
                seen.extend(page.iter().map(|event| event.position().get()));
                if page.last().is_some_and(|event| event.stream().key() == "last" && event.version().get() == 2) {
                    return seen;
                }
            }
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
