//! Letters: events that were put aside, in their order, and what stands on them.

use chrono::{DateTime, TimeDelta, Utc};

use super::fixture::*;
use super::read_side::*;
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::store::{BatchError, BatchWork, Letter, NewLetter, Store};

/// A worker, and the events of a log of five.
async fn five_events<S: Store>(store: &S) -> (Worker<S>, Vec<Recorded<AnyEvent>>) {
    record(store, &stream("a"), 0, &["opened", "deposited", "spoiled"]).await;
    record(store, &stream("b"), 0, &["opened", "moved:1:a"]).await;
    (Worker::start(store, &FIRST).await, whole_log(store, 10).await)
}

async fn put_aside<S: Store>(worker: &mut Worker<S>, letters: Vec<NewLetter>) {
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.letters = letters;
    worker.project(batch).await.expect("stored");
}

async fn letters<S: Store>(store: &S) -> Vec<Letter> {
    store.letters("balances", 1, None, 100).await.expect("readable")
}

async fn places<S: Store>(store: &S) -> Vec<(u64, String)> {
    letters(store).await.into_iter().map(|found| (found.letter.position.get(), found.letter.key)).collect()
}

fn place(position: u64, key: &str) -> (u64, String) {
    (position, key.to_owned())
}

fn whole_microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    use chrono::SubsecRound as _;
    time.trunc_subsecs(6)
}

/// Checks what its name says: the oldest position first, one letter for each key.
pub async fn letters_come_back_in_order<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let mut waiting = letter(&events[4], "[\"\",\"b\"]", None);
    waiting.at = now() - TimeDelta::days(1);
    let written = vec![
        waiting,
        letter(&events[4], "[\"\",\"a\"]", Some("why")),
        letter(&events[2], "[\"\",\"a\"]", Some("a `cause`\nof two lines")),
    ];
    put_aside(&mut worker, written.clone()).await;
    let found = letters(&store).await;
    let expected = [2, 1, 0].map(|index: usize| written[index].clone());
    assert_eq!(found.iter().map(|found| found.letter.clone()).collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|found| found.id == worker.id && found.touched == found.letter.at));
    // Up to a limit, of one key, of a key that has none.
    let some = store.letters("balances", 1, None, 2).await.expect("readable");
    assert_eq!(some, found[..2]);
    let some = store.letters("balances", 1, Some("[\"\",\"a\"]"), 9).await.expect("readable");
    assert_eq!(some, found[..2]);
    assert_eq!(store.letters("balances", 1, Some("a"), 9).await.expect("readable"), []);
    assert_eq!(store.letters("balances", 1, None, 0).await.expect("readable"), []);
    assert_eq!(checkpoints(&store, &FIRST).await[0].letters, 3);
    let keys = store.parked_keys(&worker.id).await.expect("readable");
    assert_eq!(keys, ["[\"\",\"a\"]", "[\"\",\"b\"]"]);
}

/// Checks what its name says.
pub async fn letters_of_partitions_and_versions_are_apart<S: Store>(store: S) {
    let (mut first, events) = five_events(&store).await;
    let mut second = Worker::start(&store, &SECOND).await;
    put_aside(&mut first, vec![letter(&events[2], "k", None)]).await;
    put_aside(&mut second, vec![letter(&events[2], "l", None), letter(&events[4], "l", None)]).await;
    assert_eq!(places(&store).await, [place(3, "k")]);
    assert_eq!(store.letters("balances", 2, None, 9).await.expect("readable").len(), 2);
    assert_eq!(store.parked_keys(&second.id).await.expect("readable"), ["l"]);
    let (mut zero, mut three) =
        (Worker::of_partition(&store, &PARTED, 0).await, Worker::of_partition(&store, &PARTED, 3).await);
    put_aside(&mut three, vec![letter(&events[1], "t", None), letter(&events[3], "t", None)]).await;
    put_aside(&mut zero, vec![letter(&events[2], "z", None)]).await;
    let found = store.letters("parted", 1, None, 9).await.expect("readable");
    let found: Vec<_> = found.iter().map(|found| (found.letter.position.get(), found.id.partition)).collect();
    assert_eq!(found, [(2, 3), (3, 0), (4, 3)], "of all partitions, in the order of positions");
    assert_eq!(store.parked_keys(&partition(&PARTED, 1)).await.expect("readable"), Vec::<String>::new());
    assert!(!store.skip_letter(&zero.id, GlobalPosition::new(2)).await.expect("looked"), "another partition's");
}

/// Checks what its name says: nothing of the batch is stored then.
pub async fn a_batch_that_stands_on_a_letter_that_is_gone_is_refused<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    put_aside(&mut worker, vec![letter(&events[2], "k", None), letter(&events[4], "l", None)]).await;
    let parked = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let mut batch = worker.next().await;
    let BatchWork::Fold { events: folded, .. } = &mut batch.work else { panic!("it folds") };
    folded.truncate(2);
    for keys in [&["k", "m"][..], &["x"]] {
        let mut batch = batch.clone();
        batch.parked = parked(keys);
        let refused = worker.project(batch).await;
        assert!(matches!(refused, Err(BatchError::LettersChanged)), "{refused:?}");
    }
    assert_eq!(positions(&store, &FIRST).await, [0]);
    assert_eq!(state(&store, &FIRST, "a").await, None);
    batch.parked = parked(&["k", "l"]);
    assert!(store.skip_letter(&worker.id, GlobalPosition::new(5)).await.expect("skipped"));
    let refused = worker.project(batch.clone()).await;
    assert!(matches!(refused, Err(BatchError::LettersChanged)), "{refused:?}");
    batch.parked = parked(&["k"]);
    worker.project(batch).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(1, "1 2"));
}

/// Checks what its name says, once.
pub async fn a_settled_letter_is_gone_under_all_its_keys<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let written =
        vec![letter(&events[4], "k", Some("why")), letter(&events[4], "l", Some("why")), letter(&events[2], "k", None)];
    put_aside(&mut worker, written).await;
    let mut batch = worker.next().await;
    let BatchWork::Fold { events: folded, .. } = &mut batch.work else { panic!("it folds") };
    *folded = vec![events[3].clone()];
    (batch.to, batch.settles) = (None, Some(GlobalPosition::new(5)));
    worker.project(batch.clone()).await.expect("stored");
    assert_eq!(places(&store).await, [place(3, "k")]);
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "1"));
    // A second one that deals with it is refused, before its function finds the row there.
    let refused = worker.project(batch).await;
    assert!(matches!(refused, Err(BatchError::LettersChanged)), "{refused:?}");
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "1"));
}

/// Checks what its name says: later ones of its key stay.
pub async fn one_letter_is_skipped_at_a_time<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let written =
        vec![letter(&events[2], "k", Some("why")), letter(&events[4], "k", None), letter(&events[4], "l", None)];
    put_aside(&mut worker, written).await;
    assert!(store.skip_letter(&worker.id, GlobalPosition::new(3)).await.expect("skipped"));
    assert!(!store.skip_letter(&worker.id, GlobalPosition::new(3)).await.expect("looked"));
    assert_eq!(places(&store).await, [place(5, "k"), place(5, "l")]);
    assert!(store.skip_letter(&worker.id, GlobalPosition::new(5)).await.expect("skipped"));
    assert_eq!(places(&store).await, []);
    assert_eq!(store.parked_keys(&worker.id).await.expect("readable"), Vec::<String>::new());
}

/// Checks what its name says.
pub async fn a_letter_that_was_tried_again_says_so<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let mut old = letter(&events[2], "k", Some("first cause"));
    old.at = now() - TimeDelta::days(1);
    put_aside(&mut worker, vec![old.clone(), letter(&events[4], "k", None)]).await;
    let before = whole_microseconds(Utc::now());
    for cause in ["second cause", "third cause"] {
        store.touch_letter(&worker.id, GlobalPosition::new(3), cause).await.expect("noted");
    }
    store.touch_letter(&worker.id, GlobalPosition::new(4), "no letter").await.expect("nothing to note");
    let found = letters(&store).await;
    assert_eq!(found.len(), 2);
    let expected = NewLetter { cause: Some("third cause".to_owned()), attempts: 3, ..old };
    assert_eq!(found[0].letter, expected);
    assert!(found[0].touched >= before, "{:?} is before {before:?}", found[0].touched);
    assert_eq!((found[1].letter.attempts, found[1].letter.cause.clone()), (0, None));
}

/// Checks what its name says.
pub async fn letters_of_a_fenced_batch_are_not_kept<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let mut batch = worker.batch(BatchWork::Nothing, Some(5));
    batch.letters = vec![letter(&events[2], "k", None)];
    batch.epoch += 1;
    let fenced = worker.project(batch).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    assert_eq!(letters(&store).await, []);
}

/// Checks what its name says: one whose rows are not known is everybody's, and each partition keeps its own letter.
pub async fn an_event_is_put_aside_in_several_partitions<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened"]).await;
    let event = whole_log(&store, 1).await.remove(0);
    let mut workers = Vec::new();
    for number in 0..4 {
        let mut worker = Worker::of_partition(&store, &PARTED, number).await;
        put_aside(&mut worker, vec![letter(&event, "account/a", Some("why"))]).await;
        workers.push(worker);
    }
    for worker in &workers {
        assert_eq!(store.parked_keys(&worker.id).await.expect("readable"), ["account/a"], "{:?}", worker.id);
    }
    let found = store.letters("parted", 1, Some("account/a"), 10).await.expect("readable");
    let mut partitions: Vec<_> = found.iter().map(|found| found.id.partition).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1, 2, 3]);
    assert!(store.skip_letter(&workers[1].id, event.position()).await.expect("skipped"));
    let left: Vec<_> = checkpoints(&store, &PARTED).await.iter().map(|checkpoint| checkpoint.letters).collect();
    assert_eq!(left, [1, 0, 1, 1]);
}

/// Checks what its name says: more than a statement takes.
pub async fn many_letters_are_kept<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let written: Vec<_> = (0..3_000).map(|number| letter(&events[2], &format!("k{number:04}"), None)).collect();
    put_aside(&mut worker, written.clone()).await;
    let found = store.letters("balances", 1, None, 10_000).await.expect("readable");
    assert!(found.iter().map(|found| &found.letter).eq(&written));
    let mut batch = worker.batch(BatchWork::Nothing, Some(5));
    batch.parked = written.iter().map(|letter| letter.key.clone()).collect();
    worker.project(batch).await.expect("they are all there");
    assert_eq!(store.parked_keys(&worker.id).await.expect("readable").len(), 3_000);
}

/// Checks what its name says.
pub async fn the_first_letter_of_some_streams_is_found<S: Store>(store: S) {
    let (mut worker, events) = five_events(&store).await;
    let written =
        [2, 3, 4].map(|place: usize| letter(&events[place], &format!("[\"\",\"{place}\"]"), Some("why"))).to_vec();
    put_aside(&mut worker, written).await;
    let other = stream("b").with_tenant("acme");
    let streams = [stream("a"), stream("b"), other];
    for (streams, to, expected) in [
        (&streams[..], 5, Some(3)),
        (&streams[1..], 5, Some(4)),
        (&streams[1..], 3, None),
        (&streams[2..], 5, None),
        (&[], 5, None),
    ] {
        let found = store.first_letter("balances", 1, streams, GlobalPosition::new(to)).await.expect("readable");
        let place =
            found.map(|found| 1 + events.iter().position(|event| event.position() == found).expect("of the log"));
        assert_eq!(place, expected, "{streams:?} up to {to}");
    }
}
