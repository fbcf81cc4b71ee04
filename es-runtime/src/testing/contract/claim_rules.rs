//! Rules of claims: which events claim which keys, and keys that are built for new rules.

use super::fixture::*;
use crate::event::{ClaimKind, ClaimRule, GlobalPosition, StreamId};
use crate::store::{
    AppendError, BuildClaimsError, ClaimBuild, ClaimHolder, ClaimPage, ClaimsStep, DuplicateClaim, EventClaims,
    NewCommit, Store,
};

const EMAIL: &[ClaimRule] = &[ClaimRule { set: "email", field: "email", kind: ClaimKind::Claim }];
const LOGIN: &[ClaimRule] = &[ClaimRule { set: "email", field: "login", kind: ClaimKind::Claim }];

/// What a program declares that claims an e-mail address with every event of the fixture.
const DECLARED: &[EventClaims] = &[EventClaims { aggregate: "account", event: "deposited", rules: EMAIL }];
/// What a program declares that claims nothing.
const NOTHING: &[EventClaims] = &[EventClaims { aggregate: "account", event: "deposited", rules: &[] }];
const BOTH: &[EventClaims] = &[
    EventClaims { aggregate: "account", event: "deposited", rules: EMAIL },
    EventClaims { aggregate: "account", event: "renamed", rules: LOGIN },
];

/// The commit of a program with these rules.
fn ruled(mut commit: NewCommit, rules: &'static [ClaimRule]) -> NewCommit {
    for event in &mut commit.events {
        event.rules = rules;
    }
    commit
}

fn renamed(stream: &StreamId, expected: u64, rules: &'static [ClaimRule]) -> NewCommit {
    ruled(commit(stream, expected, 0).with_events(vec![event_of("renamed", "{}")]), rules)
}

#[track_caller]
fn assert_differ<T: std::fmt::Debug>(result: Result<T, AppendError>, stored: &str, declared: &str) {
    match result {
        Err(AppendError::ClaimsDiffer(differ)) => {
            assert_eq!((differ.aggregate.as_str(), differ.event.as_str()), ("account", "deposited"));
            assert_eq!((differ.stored.as_str(), differ.declared.as_str()), (stored, declared));
        }
        other => panic!("expected that the claims differ, got {other:?}"),
    }
}

async fn registered<S: Store>(store: &S, declared: &[EventClaims]) -> Vec<String> {
    let differ = store.register_claims(declared).await.expect("rules can be compared");
    differ.into_iter().map(|differ| differ.event).collect()
}

async fn begun<S: Store>(store: &S, declared: &[EventClaims]) -> ClaimBuild {
    store.begin_claims(declared).await.expect("it can begin").expect("something has to be built")
}

fn held(stream: &StreamId, key: &str) -> ClaimHolder {
    ClaimHolder { stream: stream.clone(), set: "email".to_owned(), key: key.to_owned(), held: true }
}

/// Stores one page that reaches to the head; gives the build behind it.
async fn page<S: Store>(store: &S, build: ClaimBuild, holders: Vec<ClaimHolder>) -> ClaimBuild {
    let to = store.head().await.expect("the log has a head");
    let stored = store.store_claims(ClaimPage { build: build.clone(), to, holders }).await;
    assert_eq!(stored.expect("pages can be stored"), ClaimsStep::Stored);
    ClaimBuild { position: to, ..build }
}

async fn finish<S: Store>(store: &S, build: &ClaimBuild) -> ClaimsStep {
    store.finish_claims(build).await.expect("builds can end")
}

async fn claim<S: Store>(store: &S, name: &str, key: &str) -> Result<(), AppendError> {
    store_one(store, ruled(commit(&stream(name), 0, 1).claiming(key), EMAIL)).await.map(drop)
}

/// Verifies that rules are in force at once if the log contains no such event, and that programs with other rules are refused then.
pub async fn rules_without_a_history_are_in_force_at_once<S: Store>(store: S) {
    append(&store, &StreamId::new("card", "x"), 0, 1).await;
    assert_eq!(registered(&store, DECLARED).await, [""; 0]);
    claim(&store, "a", "x").await.expect("known");
    assert_differ(store_one(&store, commit(&stream("b"), 0, 1)).await, "claim email email", "");
    assert_differ(
        store_one(&store, ruled(commit(&stream("a"), 1, 1), LOGIN)).await,
        "claim email email",
        "claim email login",
    );
    assert_eq!((version(&store, &stream("a")).await, version(&store, &stream("b")).await), (1, 0));
    // Other events are not concerned, nor are those of another aggregate that have the same name.
    store_one(&store, renamed(&stream("c"), 0, &[])).await.expect("another event");
    append(&store, &StreamId::new("card", "x"), 1, 1).await;
    assert_eq!(registered(&store, DECLARED).await, [""; 0]);
}

/// Verifies that commits of programs with other rules fail alone.
pub async fn programs_with_other_rules_fail_alone<S: Store>(store: S) {
    registered(&store, DECLARED).await;
    let commits = vec![
        ruled(commit(&stream("a"), 0, 1).claiming("x"), EMAIL),
        commit(&stream("b"), 0, 1),
        renamed(&stream("c"), 0, &[]),
        ruled(commit(&stream("d"), 0, 1).claiming("y"), EMAIL),
    ];
    let results = store_together(&store, commits).await;
    assert!(results[0].is_ok() && results[2].is_ok() && results[3].is_ok(), "{results:?}");
    assert_differ(results.into_iter().nth(1).expect("four answers"), "claim email email", "");
}

/// Verifies that rules which nobody has registered are refused: the store may have been restored from a backup.
pub async fn rules_that_are_not_registered_are_refused<S: Store>(store: S) {
    assert_differ(claim(&store, "a", "x").await, "", "claim email email");
    append(&store, &stream("b"), 0, 1).await;
    append(&store, &stream("b"), 1, 1).await;
    assert_differ(claim(&store, "a", "x").await, "", "claim email email");
}

/// Verifies that rules of events that are stored are not in force before they were built, and that programs without them go on.
pub async fn rules_with_a_history_are_not_in_force<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    assert_eq!(registered(&store, BOTH).await, ["deposited"]);
    append(&store, &stream("a"), 1, 1).await;
    assert_differ(claim(&store, "b", "x").await, "", "claim email email");
    // Nor are those of the others: a program that does not start changes nothing.
    store_one(&store, renamed(&stream("c"), 0, &[])).await.expect("it claims nothing");
}

/// Verifies that a build refuses programs that do not know its rules, from its beginning and across its pages.
pub async fn a_build_refuses_programs_that_do_not_know_the_rules<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let build = begun(&store, DECLARED).await;
    assert_differ(store_one(&store, commit(&stream("a"), 1, 1)).await, "claim email email", "");
    assert_eq!(registered(&store, DECLARED).await, ["deposited"], "they are not in force");
    let build = page(&store, build, vec![held(&stream("a"), "x")]).await;
    assert_differ(store_one(&store, commit(&stream("a"), 1, 1)).await, "claim email email", "");
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    assert_differ(store_one(&store, commit(&stream("a"), 1, 1)).await, "claim email email", "");
}

/// Verifies that the keys of a build are held once it has ended.
pub async fn built_keys_are_held<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let other = stream("b").with_tenant("other");
    append(&store, &other, 0, 1).await;
    let build = begun(&store, DECLARED).await;
    // What a page frees again is not held; tenants are apart.
    let freed = ClaimHolder { held: false, ..held(&stream("a"), "old") };
    let build = page(&store, build, vec![held(&stream("a"), "x"), held(&other, "x"), held(&stream("a"), "old")]).await;
    let build = page(&store, build, vec![freed]).await;
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    assert_eq!(registered(&store, DECLARED).await, [""; 0]);
    assert_eq!(store.begin_claims(DECLARED).await.expect("it can be asked"), None);
    let taken = claim(&store, "c", "x").await;
    assert!(matches!(&taken, Err(AppendError::Claimed { key, .. }) if key == "x"), "{taken:?}");
    claim(&store, "c", "old").await.expect("it is free");
    store_one(&store, ruled(commit(&stream("a"), 1, 1).claiming("x"), EMAIL)).await.expect("its own");
    assert_eq!(finish(&store, &build).await, ClaimsStep::Replaced);
}

/// Verifies that keys with two holders are listed, and that everything is then as before.
pub async fn keys_with_two_holders_are_listed<S: Store>(store: S) {
    for name in ["a", "b", "c"] {
        append(&store, &stream(name), 0, 1).await;
    }
    let build = begun(&store, DECLARED).await;
    let holders = vec![held(&stream("a"), "x"), held(&stream("b"), "x"), held(&stream("c"), "y")];
    let build = page(&store, build, holders).await;
    let ClaimsStep::Duplicates(duplicates) = finish(&store, &build).await else { panic!("there is a duplicate") };
    let streams = [stream("a"), stream("b")];
    let listed = DuplicateClaim { set: "email".to_owned(), key: "x".to_owned(), streams };
    assert_eq!((duplicates.count, duplicates.listed), (1, vec![listed]));
    assert_eq!(registered(&store, DECLARED).await, ["deposited"], "they are not in force");
    append(&store, &stream("a"), 1, 1).await;
    assert_differ(claim(&store, "d", "z").await, "", "claim email email");
    // The next build begins at the start.
    assert_eq!(begun(&store, DECLARED).await.position, GlobalPosition::START);
}

/// Verifies that rules of events without a history come into force together with those that are built, or not.
pub async fn all_rules_of_a_build_come_into_force_together<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    append(&store, &stream("b"), 0, 1).await;
    let build = begun(&store, BOTH).await;
    let refused = store_one(&store, renamed(&stream("c"), 0, &[])).await;
    assert!(matches!(refused, Err(AppendError::ClaimsDiffer(_))), "{refused:?}");
    let build = page(&store, build, vec![held(&stream("a"), "x"), held(&stream("b"), "x")]).await;
    assert_eq!(begun(&store, BOTH).await, build, "it is resumed");
    assert!(matches!(finish(&store, &build).await, ClaimsStep::Duplicates(_)));
    append(&store, &stream("a"), 1, 1).await;
    store_one(&store, renamed(&stream("c"), 0, &[])).await.expect("as before");
    let build = begun(&store, BOTH).await;
    let build = page(&store, build, vec![held(&stream("a"), "x")]).await;
    let refused = store_one(&store, renamed(&stream("c"), 1, &[])).await;
    assert!(matches!(refused, Err(AppendError::ClaimsDiffer(_))), "{refused:?}");
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    assert_eq!(registered(&store, BOTH).await, [""; 0]);
}

/// Verifies that of many duplicates a bounded number is listed and all are counted.
pub async fn many_keys_with_two_holders_are_counted<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    append(&store, &stream("b"), 0, 1).await;
    let keys = || (0..150).map(|number| format!("key {number:03}"));
    let of = |name: &str| keys().map(|key| held(&stream(name), &key)).collect::<Vec<_>>();
    let build = begun(&store, DECLARED).await;
    let build = page(&store, build, [of("a"), of("b")].concat()).await;
    let ClaimsStep::Duplicates(duplicates) = finish(&store, &build).await else { panic!("there are duplicates") };
    assert_eq!(duplicates.count, 150);
    let listed: Vec<_> = duplicates.listed.into_iter().map(|duplicate| duplicate.key).collect();
    assert_eq!(listed, keys().take(100).collect::<Vec<_>>());
}

/// Verifies that a build goes on at the page that was stored last, and that another one of the same does not store a page twice.
pub async fn a_build_is_resumed_behind_its_last_page<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 2).await;
    let build = begun(&store, DECLARED).await;
    let behind = page(&store, build.clone(), vec![held(&stream("a"), "x")]).await;
    assert_eq!(begun(&store, DECLARED).await, behind);
    let again = ClaimPage { build: build.clone(), to: behind.position, holders: vec![held(&stream("a"), "y")] };
    assert_eq!(store.store_claims(again).await.expect("it can be asked"), ClaimsStep::Moved);
    assert_eq!(finish(&store, &build).await, ClaimsStep::Moved);
    assert_eq!(finish(&store, &behind).await, ClaimsStep::InForce);
    claim(&store, "b", "y").await.expect("the page was not stored");
}

/// Verifies that a build of other rules begins at the start, and that the one before it stores nothing any more.
pub async fn a_build_of_other_rules_replaces_the_one_before<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let old = begun(&store, DECLARED).await;
    let old = page(&store, old, vec![held(&stream("a"), "x")]).await;
    let other = [EventClaims { rules: LOGIN, ..DECLARED[0] }];
    let new = begun(&store, &other).await;
    assert_eq!(new.position, GlobalPosition::START);
    assert_eq!(finish(&store, &old).await, ClaimsStep::Replaced);
    let stale = ClaimPage { to: old.position, build: old, holders: Vec::new() };
    assert_eq!(store.store_claims(stale).await.expect("it can be asked"), ClaimsStep::Replaced);
    let new = page(&store, new, vec![held(&stream("a"), "y")]).await;
    assert_eq!(finish(&store, &new).await, ClaimsStep::InForce);
    store_one(&store, ruled(commit(&stream("b"), 0, 1).claiming("x"), LOGIN)).await.expect("only `y` is held");
}

/// Verifies that a build ends behind the last event that claims, and that commits of programs with its rules claim in the meantime.
pub async fn a_build_ends_behind_the_last_event_that_claims<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let build = begun(&store, DECLARED).await;
    let build = page(&store, build, vec![held(&stream("a"), "x")]).await;
    claim(&store, "b", "y").await.expect("it knows the rules");
    let taken = claim(&store, "c", "y").await;
    assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
    assert_eq!(finish(&store, &build).await, ClaimsStep::Behind);
    let build = page(&store, build, vec![held(&stream("b"), "y")]).await;
    // Events that claim nothing hold nothing up.
    store_one(&store, renamed(&stream("d"), 0, &[])).await.expect("another event");
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    for key in ["x", "y"] {
        let taken = claim(&store, "e", key).await;
        assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
    }
}

/// Verifies that keys which are in force stay so while others of their set are built.
pub async fn keys_in_force_are_kept_while_others_are_built<S: Store>(store: S) {
    store_one(&store, renamed(&stream("r"), 0, &[])).await.expect("stored");
    registered(&store, DECLARED).await;
    claim(&store, "a", "x").await.expect("free");
    let build = begun(&store, BOTH).await;
    let build = page(&store, build, vec![held(&stream("r"), "z"), held(&stream("a"), "x")]).await;
    let taken = claim(&store, "b", "x").await;
    assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    for key in ["x", "z"] {
        let taken = claim(&store, "b", key).await;
        assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
    }
}

/// Verifies that keys of rules that a program no longer has are free once that was built.
pub async fn keys_of_rules_that_are_taken_away_are_freed<S: Store>(store: S) {
    registered(&store, BOTH).await;
    claim(&store, "a", "x").await.expect("free");
    store_one(&store, renamed(&stream("b"), 0, LOGIN).claiming("y")).await.expect("free");
    let fewer = [NOTHING[0], BOTH[1]];
    assert_eq!(registered(&store, &fewer).await, ["deposited"]);
    let build = begun(&store, &fewer).await;
    let build = page(&store, build, vec![held(&stream("b"), "y")]).await;
    assert_eq!(finish(&store, &build).await, ClaimsStep::InForce);
    append(&store, &stream("a"), 1, 1).await;
    store_one(&store, renamed(&stream("c"), 0, LOGIN).claiming("x")).await.expect("it is free");
    let taken = store_one(&store, renamed(&stream("d"), 0, LOGIN).claiming("y")).await;
    assert!(matches!(taken, Err(AppendError::Claimed { .. })), "{taken:?}");
}

/// Verifies that the program from before a build takes its rules back at once, if no event was stored by the new ones.
pub async fn a_build_can_be_taken_back<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let build = begun(&store, DECLARED).await;
    assert_eq!(store.begin_claims(NOTHING).await.expect("it can be asked"), None);
    append(&store, &stream("a"), 1, 1).await;
    assert_eq!(finish(&store, &build).await, ClaimsStep::Replaced);
    // With an event of the new rules it is a build like any other.
    begun(&store, DECLARED).await;
    claim(&store, "b", "x").await.expect("it knows the rules");
    let back = begun(&store, NOTHING).await;
    assert_eq!(finish(&store, &back).await, ClaimsStep::InForce);
    append(&store, &stream("b"), 1, 1).await;
}

/// Verifies that a program does not build keys of a set in which an event that it does not know claims.
pub async fn a_build_names_events_that_its_program_does_not_know<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    assert_eq!(registered(&store, &BOTH[1..]).await, [""; 0]);
    let refused = store.begin_claims(DECLARED).await;
    assert!(matches!(&refused, Err(BuildClaimsError::UnknownEvent { event, .. }) if event == "renamed"), "{refused:?}");
    append(&store, &stream("a"), 1, 1).await;
}

/// Verifies that a new event does not join a set that is being built without it.
pub async fn a_set_that_is_being_built_takes_no_new_events<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let build = begun(&store, DECLARED).await;
    assert_eq!(registered(&store, &BOTH[1..]).await, ["renamed"]);
    let with_it = begun(&store, BOTH).await;
    assert_eq!(finish(&store, &build).await, ClaimsStep::Replaced);
    let with_it = page(&store, with_it, vec![held(&stream("a"), "x")]).await;
    assert_eq!(finish(&store, &with_it).await, ClaimsStep::InForce);
    assert_eq!(registered(&store, BOTH).await, [""; 0]);
}

/// Verifies that many programs may register, and begin to build, at the same time.
pub async fn many_may_register_and_build_at_once<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                assert_eq!(registered(&store, &BOTH[1..]).await, [""; 0]);
                begun(&store, BOTH).await
            })
        })
        .collect();
    let mut builds = Vec::new();
    for task in tasks {
        builds.push(task.await.expect("no caller panics"));
    }
    assert!(builds.iter().all(|build| *build == builds[0]), "{builds:?}");
}
