//! A writer in a process of its own: this test binary, started again to run one ignored test.
//!
//! Each commit's events say in their bodies which commit they belong to and how many there are, so that a reader of the log
//! sees whether a commit is there whole. Each acknowledged commit is printed as one line.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use es_runtime::event::{AnyEvent, EventId, Recorded, StreamId};
use es_runtime::store::{AppendError, EventStore as _, Ledger as _, Store};
use es_runtime::testing::contract::fixture::{With as _, commit, event_of, version, whole_log};
use futures_util::future::join_all;

use crate::place::{Place, at_the_parents_place, tell};

const COMMITS: &str = "ES_TEST_COMMITS";

/// How many callers a child has.
const CALLERS: usize = 6;

/// A commit that the child was told is durable.
#[derive(Debug, PartialEq, Eq, Hash, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) commit: String,
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) events: u64,
}

/// Starts a writer at a place. Each of its callers makes this many commits, and ends with the first one that is refused for
/// another reason than a conflict.
pub(crate) fn start(place: &impl Place, commits: usize) -> Child {
    start_with(&mut Command::new(std::env::current_exe().unwrap()), place, commits)
}

/// Starts a writer with a command that runs this binary.
pub(super) fn start_with(command: &mut Command, place: &impl Place, commits: usize) -> Child {
    tell(place, command);
    command
        .args(["crash::child::writer", "--exact", "--ignored", "--nocapture"])
        .env(COMMITS, commits.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what a child acknowledges, line by line, until it ends or `enough` says so.
pub(crate) fn acknowledged(child: &mut Child, mut enough: impl FnMut(usize) -> bool) -> Vec<Acknowledged> {
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        // A line that was cut off by the child's death has no end.
        if lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            return acknowledged;
        }
        let Some(rest) = line.trim_end().strip_prefix("ack ") else { continue };
        let parts: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| parts[index].parse().unwrap();
        let [commit, stream] = [parts[0], parts[1]].map(str::to_owned);
        acknowledged.push(Acknowledged { commit, stream, version: number(2), position: number(3), events: number(4) });
        if enough(acknowledged.len()) {
            child.kill().unwrap();
        }
    }
}

/// The writer itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that other tests start"]
async fn writer() {
    at_the_parents_place!(write);
}

async fn write(place: impl Place) {
    let commits: usize = std::env::var(COMMITS).unwrap().parse().unwrap();
    let store = place.open().await;
    let callers = (0..CALLERS).map(|caller| tokio::spawn(call(store.clone(), caller, commits)));
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    store.close().await;
}

async fn call(store: impl Store, caller: usize, commits: usize) {
    for index in 0..commits {
        // Two streams that all callers of all processes append to, and one of this caller's process.
        let key =
            if index % 3 == 2 { format!("own-{}-{caller}", std::process::id()) } else { format!("hot-{}", index % 3) };
        let stream = StreamId::new("account", key);
        let (name, events) = (EventId::new_v7().to_string(), 1 + index as u64 % 3);
        let mut expected = version(&store, &stream).await;
        loop {
            let bodies = (0..events).map(|_| event_of("made", format!("{name} {events}"))).collect();
            let new = commit(&stream, expected, 0).with_events(bodies).keyed(&name).claiming(&name);
            match store.submit(new).await.await {
                Ok(done) => {
                    // One write a line: a process that is killed leaves whole lines and at most one piece.
                    let (key, version, position) = (stream.key(), done.version, done.position);
                    let line = format!("\nack {name} {key} {version} {position} {events}\n");
                    let mut out = std::io::stdout().lock();
                    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                        return;
                    }
                    break;
                }
                Err(AppendError::Conflict { actual, .. }) => expected = actual.get(),
                Err(other) => {
                    println!("\nrefused {other}");
                    return;
                }
            }
        }
    }
}

/// Asserts that the log is sound and that every acknowledged commit is in it, whole. Gives the log's commits.
pub(super) async fn check<P: Place>(store: &P::Store, acknowledged: &[Acknowledged]) -> Vec<Acknowledged> {
    let log = whole_log(store, 500).await;
    assert!(log.windows(2).all(|pair| pair[0].position() < pair[1].position()), "positions do not ascend");
    let last = log.last().map_or(0, |event| event.position().get());
    assert!(!P::WITHOUT_GAPS || last == log.len() as u64, "positions have gaps");
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    let mut ids = std::collections::HashSet::new();
    for event in &log {
        let last = versions.entry(event.stream()).or_default();
        *last += 1;
        assert_eq!(event.version().get(), *last, "versions of {} have gaps", event.stream());
        assert!(ids.insert(event.id()), "event {} is there twice", event.id());
    }
    let stored = commits_of(&log);
    for commits in stored.chunks(16) {
        let found = join_all(commits.iter().map(|commit| store.find("", &commit.commit))).await;
        for (commit, found) in commits.iter().zip(found) {
            let record = found.unwrap().expect("a stored commit has its ledger entry");
            assert_eq!(record.committed.position.get(), commit.position);
            assert_eq!(record.events.len() as u64, commit.events);
        }
    }
    let known: std::collections::HashSet<_> = stored.iter().collect();
    for commit in acknowledged {
        if !known.contains(commit) {
            let instead = stored.iter().find(|stored| stored.commit == commit.commit);
            let ledger = store.find("", &commit.commit).await;
            panic!("acknowledged but not stored as such: {commit:?}, but {instead:?}, in the ledger {ledger:?}");
        }
    }
    stored
}

/// Puts the log's events together to commits, in the order of their last events, and asserts that each is whole. Where several processes
/// write at once, their commits may stand in each other.
fn commits_of(log: &[Recorded<AnyEvent>]) -> Vec<Acknowledged> {
    let mut commits = Vec::new();
    let mut begun: HashMap<&str, Vec<&Recorded<AnyEvent>>> = HashMap::new();
    for event in log {
        let body = std::str::from_utf8(&event.event().body).unwrap();
        let (commit, count) = body.split_once(' ').unwrap();
        let events = begun.entry(commit).or_default();
        events.push(event);
        assert!(events.iter().all(|other| other.stream() == event.stream()), "commit {commit} is on two streams");
        if events.len() == count.parse::<usize>().unwrap() {
            let versions = events.iter().map(|event| event.version().get());
            let last = event.version().get();
            assert!(versions.eq(last + 1 - events.len() as u64..=last), "commit {commit} is not in one piece");
            commits.push(Acknowledged {
                commit: commit.to_owned(),
                stream: event.stream().key().to_owned(),
                version: last,
                position: event.position().get(),
                events: events.len() as u64,
            });
            begun.remove(commit);
        }
    }
    assert!(begun.is_empty(), "commits are there in part: {:?}", begun.keys());
    commits
}
