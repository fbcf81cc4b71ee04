//! Chains: what stands on a decision that was not stored is not stored either.

use super::fixture::*;
use crate::store::{AppendError, DecisionChain, History, Store};

/// Checks what its name says.
pub async fn several_commits_of_one_stream_share_a_chain<S: Store>(store: S) {
    let chain = DecisionChain::new();
    let commits = (0..20).map(|index| commit(&stream("a"), index * 2, 2).chained(&chain)).collect();
    let results = store_together(&store, commits).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(!chain.is_broken());
    assert_eq!(version(&store, &stream("a")).await, 40);
}

/// Checks what its name says, even where the expected version fits by accident.
pub async fn a_failure_breaks_its_chain<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let chain = DecisionChain::new();
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 0, 1).chained(&chain),
            // It was decided on version 1, but on another version 1 than the one that is there.
            commit(&stream("a"), 1, 1).chained(&chain),
        ],
    )
    .await;
    assert!(matches!(results[0], Err(AppendError::Conflict { .. })), "{results:?}");
    assert!(matches!(results[1], Err(AppendError::ChainBroken)), "{results:?}");
    assert!(chain.is_broken());
    assert_eq!(version(&store, &stream("a")).await, 1);
}

/// Checks what its name says.
pub async fn what_was_decided_on_a_history_that_is_over_is_refused<S: Store>(store: S) {
    let history = store.history();
    assert!(!history.is_over());
    store_one(&store, commit(&stream("a"), 0, 1).chained(&DecisionChain::on(history))).await.expect("stored");
    let over = History::new();
    over.end();
    let refused = store_one(&store, commit(&stream("a"), 1, 1).chained(&DecisionChain::on(over))).await;
    assert!(matches!(refused, Err(AppendError::ChainBroken)), "{refused:?}");
    assert_eq!(version(&store, &stream("a")).await, 1);
}

/// Checks what its name says.
pub async fn a_broken_chain_is_refused<S: Store>(store: S) {
    let chain = DecisionChain::new();
    chain.break_off();
    let refused = store_one(&store, commit(&stream("a"), 0, 1).chained(&chain).keyed("k").claiming("x")).await;
    assert!(matches!(refused, Err(AppendError::ChainBroken)), "{refused:?}");
    // A confirmation stands on the chain as well.
    let refused = store_one(&store, commit(&stream("a"), 0, 0).chained(&chain)).await;
    assert!(matches!(refused, Err(AppendError::ChainBroken)), "{refused:?}");
    store_one(&store, commit(&stream("b"), 0, 1).keyed("k").claiming("x")).await.expect("nothing was left behind");
    assert_eq!(version(&store, &stream("a")).await, 0);
}

/// Checks what its name says.
pub async fn other_chains_go_on<S: Store>(store: S) {
    let (good, bad) = (DecisionChain::new(), DecisionChain::new());
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 0, 1).chained(&good),
            commit(&stream("a"), 7, 1).chained(&bad),
            commit(&stream("a"), 1, 1).chained(&good),
            commit(&stream("b"), 0, 1).chained(&bad),
            commit(&stream("a"), 2, 1).chained(&good),
        ],
    )
    .await;
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true, false, true]);
    assert!(!good.is_broken());
    assert_eq!((version(&store, &stream("a")).await, version(&store, &stream("b")).await), (3, 0));
}

/// Checks what its name says.
pub async fn every_kind_of_failure_breaks_the_chain<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x").keyed("k")).await.expect("stored");
    let (conflict, claimed, recorded) = (DecisionChain::new(), DecisionChain::new(), DecisionChain::new());
    let behind = |chain| commit(&stream("behind"), 0, 1).chained(chain);
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 5, 1).chained(&conflict),
            behind(&conflict),
            commit(&stream("b"), 0, 1).claiming("x").chained(&claimed),
            behind(&claimed),
            commit(&stream("a"), 1, 1).keyed("k").chained(&recorded),
            behind(&recorded),
        ],
    )
    .await;
    for pair in results.chunks(2) {
        assert!(matches!(pair, [Err(_), Err(AppendError::ChainBroken)]), "{results:?}");
    }
    assert_eq!(store.event_count().await.expect("countable"), 1);
}
