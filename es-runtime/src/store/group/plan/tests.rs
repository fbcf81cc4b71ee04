use std::sync::Arc;

use super::*;
use crate::event::{EventId, GlobalPosition, Metadata};
use crate::store::{Committed, DecisionChain, LedgerEntry, NewEvent, NewSnapshot};

fn stream(key: &str) -> StreamId {
    StreamId::new("account", key)
}

fn commit(key: &str, expected: u64, events: usize) -> NewCommit {
    let event = |_| NewEvent {
        id: EventId::new_v7(),
        name: "made".into(),
        schema_version: 1,
        body: bytes::Bytes::new(),
        rules: &[],
    };
    NewCommit {
        stream: stream(key),
        expected: expected.into(),
        events: (0..events).map(event).collect(),
        metadata: Arc::new(Metadata::default()),
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

fn keyed(mut commit: NewCommit, key: &str) -> NewCommit {
    let entry = LedgerEntry { key: key.into(), command: "Make".into(), hash: [0; 32], output: bytes::Bytes::new() };
    commit.ledger = Some(Box::new(entry));
    commit
}

fn claims(mut commit: NewCommit, kinds: &[(ClaimKind, &str)]) -> NewCommit {
    commit.claims =
        kinds.iter().map(|(kind, key)| Claim { set: "email".into(), key: (*key).into(), kind: *kind }).collect();
    commit
}

/// A state with stream `a` (number 1) at version 3 and `b` (number 2) at version 0; `a` holds the key `x`.
fn state() -> State {
    let mut state = State { last_stream: 2, ..State::default() };
    state.streams.insert(stream("a"), Known { number: 1, version: 3 });
    state.streams.insert(stream("b"), Known { number: 2, version: 0 });
    state.claims.insert(email("x"), 1);
    state
}

fn email(key: &str) -> ClaimKey {
    ClaimKey { tenant: String::new(), set: "email".into(), key: key.into() }
}

/// What became of each: the version after it, or the first word of why not.
fn fates(plan: &Plan) -> Vec<Result<u64, &'static str>> {
    let fate = |fate: &Fate| match fate {
        Fate::Stored { version, .. } => Ok(*version),
        Fate::Repeats(_) => Err("repeats"),
        Fate::Refused(AppendError::Conflict { .. }) => Err("conflict"),
        Fate::Refused(AppendError::ChainBroken) => Err("chain"),
        Fate::Refused(AppendError::Claimed { .. }) => Err("claimed"),
        Fate::Refused(AppendError::KeyRecorded(_)) => Err("recorded"),
        Fate::Refused(_) => Err("other"),
    };
    plan.fates.iter().map(fate).collect()
}

#[test]
fn commits_of_one_stream_follow_each_other() {
    let commits = [commit("a", 3, 2), commit("a", 5, 1), commit("a", 5, 1), commit("a", 6, 0)];
    let mut state = state();
    let plan = Plan::decide(&mut state, &commits);
    assert_eq!(fates(&plan), [Ok(5), Ok(6), Err("conflict"), Ok(6)]);
    let versions: Vec<_> = plan.writes.events.iter().map(|row| (row.commit, row.event, row.version)).collect();
    assert_eq!(versions, [(0, 0, 4), (0, 1, 5), (1, 0, 6)]);
    assert_eq!(state.streams[&stream("a")].version, 6);
    assert!(matches!(plan.fates[1], Fate::Stored { last_event: Some(2), .. }));
}

#[test]
fn a_conflict_names_the_version_after_the_commits_before() {
    let commits = [commit("a", 3, 2), commit("a", 3, 1)];
    let plan = Plan::decide(&mut state(), &commits);
    assert!(matches!(&plan.fates[1], Fate::Refused(AppendError::Conflict { actual, .. }) if *actual == 5));
}

#[test]
fn new_streams_get_the_next_numbers() {
    let commits = [commit("c", 0, 1), commit("d", 1, 1), commit("e", 0, 1), commit("c", 1, 1), commit("b", 0, 1)];
    let plan = Plan::decide(&mut state(), &commits);
    assert_eq!(fates(&plan), [Ok(1), Err("conflict"), Ok(1), Ok(2), Ok(1)]);
    assert_eq!(plan.writes.streams, [(3, stream("c")), (4, stream("e"))]);
    let numbers: Vec<_> = plan.writes.events.iter().map(|row| row.stream).collect();
    assert_eq!(numbers, [3, 4, 3, 2]);
}

#[test]
fn a_failure_breaks_its_chain_before_the_next_is_decided() {
    let (mut first, mut second, other) = (commit("a", 9, 1), commit("a", 3, 1), commit("a", 3, 1));
    first.chain = DecisionChain::new();
    second.chain = first.chain.clone();
    let plan = Plan::decide(&mut state(), &[first.clone(), second, other]);
    assert_eq!(fates(&plan), [Err("conflict"), Err("chain"), Ok(4)]);
    assert!(first.chain.is_broken());
}

#[test]
fn a_key_used_twice_repeats_the_first() {
    let commits = [keyed(commit("a", 3, 1), "k"), keyed(commit("c", 0, 1), "k"), keyed(commit("d", 0, 0), "l")];
    let plan = Plan::decide(&mut state(), &commits);
    assert_eq!(fates(&plan), [Ok(4), Err("repeats"), Ok(0)]);
    assert!(commits[1].chain.is_broken());
    assert_eq!(plan.writes.ledger.len(), 2);
    assert_eq!(plan.writes.ledger[0].last_event, Some(0));
    assert_eq!(plan.writes.ledger[1].last_event, None);
    assert_eq!(plan.writes.streams, [(3, stream("d"))], "the ledger's entry names its stream by number");
}

#[test]
fn a_refused_commit_leaves_its_key_to_the_next() {
    let commits = [keyed(commit("a", 1, 1), "k"), keyed(commit("a", 3, 1), "k")];
    let plan = Plan::decide(&mut state(), &commits);
    assert_eq!(fates(&plan), [Err("conflict"), Ok(4)]);
}

#[test]
fn a_stored_key_wins_over_the_version() {
    let mut state = state();
    let record = LedgerRecord {
        command: "Make".into(),
        hash: [0; 32],
        output: bytes::Bytes::new(),
        stream: stream("a"),
        committed: Committed { version: 3.into(), position: GlobalPosition::new(3) },
        events: Vec::new(),
    };
    state.ledger.insert((String::new(), "k".into()), Entry::Stored(Box::new(record)));
    let plan = Plan::decide(&mut state, &[keyed(commit("a", 0, 1), "k")]);
    assert_eq!(fates(&plan), [Err("recorded")]);
    assert!(plan.writes.is_empty());
}

#[test]
fn a_key_moves_from_stream_to_stream_within_a_group() {
    use ClaimKind::{Claim, Release};
    let commits = [
        claims(commit("b", 0, 1), &[(Claim, "x")]),
        claims(commit("a", 3, 1), &[(Release, "x")]),
        claims(commit("b", 0, 1), &[(Claim, "x")]),
        claims(commit("c", 0, 1), &[(Release, "x"), (Claim, "x")]),
    ];
    let mut state = state();
    let plan = Plan::decide(&mut state, &commits);
    assert_eq!(fates(&plan), [Err("claimed"), Ok(4), Ok(1), Err("claimed")]);
    assert_eq!(plan.claim_changes(&state), [(email("x"), Some(1), Some(2))]);
}

#[test]
fn a_commit_whose_later_claim_fails_keeps_none() {
    use ClaimKind::{Claim, Release};
    let commits = [
        claims(commit("b", 0, 1), &[(Claim, "y"), (Release, "y"), (Claim, "y"), (Claim, "x")]),
        claims(commit("c", 0, 1), &[(Claim, "y")]),
    ];
    let mut state = state();
    let plan = Plan::decide(&mut state, &commits);
    assert_eq!(fates(&plan), [Err("claimed"), Ok(1)]);
    assert_eq!(plan.claim_changes(&state), [(email("y"), None, Some(3))]);
}

#[test]
fn what_is_taken_and_freed_again_changes_nothing() {
    use ClaimKind::{Claim, Release};
    let commits = [claims(commit("a", 3, 1), &[(Release, "x"), (Claim, "x"), (Claim, "y"), (Release, "y")])];
    let mut state = state();
    let plan = Plan::decide(&mut state, &commits);
    assert_eq!(fates(&plan), [Ok(4)]);
    assert_eq!(plan.claim_changes(&state), []);
}

#[test]
fn confirmations_write_nothing() {
    let mut state = state();
    let plan = Plan::decide(&mut state, &[commit("a", 3, 0), commit("a", 2, 0), commit("c", 0, 0), commit("c", 1, 0)]);
    assert_eq!(fates(&plan), [Ok(3), Err("conflict"), Ok(0), Err("conflict")]);
    assert!(plan.writes.is_empty());
}

#[test]
fn what_no_store_can_store_is_refused_alone() {
    let claiming = claims(commit("a", 3, 0), &[(ClaimKind::Claim, "y")]);
    let mut remembering = commit("a", 3, 0);
    remembering.snapshot = Some(Box::new(NewSnapshot { fingerprint: 1, state: bytes::Bytes::new() }));
    let mut repeating = commit("b", 0, 2);
    repeating.events[1].id = repeating.events[0].id;
    let mut state = state();
    let plan = Plan::decide(&mut state, &[claiming, remembering, repeating, commit("a", 3, 1)]);
    assert_eq!(fates(&plan), [Err("other"), Err("other"), Err("other"), Ok(4)]);
    assert_eq!(plan.claim_changes(&state), []);
    assert!(plan.writes.snapshots.is_empty());
    assert_eq!(plan.writes.events.len(), 1);
}

#[test]
fn the_last_snapshot_of_a_stream_is_written() {
    let with_snapshot = |mut commit: NewCommit| {
        commit.snapshot = Some(Box::new(NewSnapshot { fingerprint: 1, state: bytes::Bytes::new() }));
        commit
    };
    let commits = [with_snapshot(commit("a", 3, 1)), with_snapshot(commit("a", 4, 2)), commit("a", 6, 1)];
    let plan = Plan::decide(&mut state(), &commits);
    assert_eq!(plan.writes.snapshots.get(&1), Some(&(1, 6)));
}
