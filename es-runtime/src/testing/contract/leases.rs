//! Leases: each partition has one owner at a time, and each owner its own epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fixture::*;
use super::read_side::*;
use crate::event::GlobalPosition;
use crate::projection::ProjectionDescriptor;
use crate::store::{BatchError, BatchWork, Lease, LeaseRequest, PartitionId, ProcessId, Store, StoreError};

fn all(projection: &ProjectionDescriptor) -> Vec<PartitionId> {
    (0..projection.partitions).map(|number| partition(projection, number)).collect()
}

async fn ask<S: Store>(store: &S, process: ProcessId, timeout: Duration) -> Vec<Lease> {
    let mut wanted = all(&PARTED);
    // The order does not matter.
    wanted.reverse();
    let request = LeaseRequest { process, timeout, wanted };
    loop {
        match store.lease(&request).await {
            // Others hold the lock for long, on a machine that is busy.
            Err(StoreError::Locked { .. }) => {}
            leases => return leases.expect("readable"),
        }
    }
}

fn sorted(mut leases: Vec<Lease>) -> Vec<(u32, u64)> {
    leases.sort_by(|a, b| a.id.cmp(&b.id));
    leases.iter().map(|lease| (lease.id.partition, lease.epoch)).collect()
}

/// Who owns what, by the checkpoints.
async fn owners<S: Store>(store: &S) -> BTreeMap<u32, ProcessId> {
    let found = checkpoints(store, &PARTED).await;
    found.into_iter().filter_map(|checkpoint| Some((checkpoint.id.partition, checkpoint.owner?))).collect()
}

/// Checks what its name says.
pub async fn one_process_gets_everything<S: Store>(store: S) {
    register(&store, &PARTED).await;
    record(&store, &stream("a"), 0, &["opened"]).await;
    store.rewind("parted", 1, GlobalPosition::new(1)).await.expect("moved");
    let process = ProcessId::new();
    let leases = ask(&store, process, LONG).await;
    let mut ids: Vec<_> = leases.iter().map(|lease| lease.id.clone()).collect();
    ids.sort();
    assert_eq!(ids, all(&PARTED));
    assert!(leases.iter().all(|lease| lease.position.get() == 1 && lease.epoch > 0), "{leases:?}");
    let found = checkpoints(&store, &PARTED).await;
    assert!(found.iter().all(|checkpoint| checkpoint.owner == Some(process)));
    assert!(found.iter().map(|checkpoint| (checkpoint.id.partition, checkpoint.epoch)).eq(sorted(leases)));
}

/// Verifies that a request for a partition that is not registered is refused and changes nothing: neither what the process has nor what others
/// may have.
pub async fn a_partition_that_is_not_registered_is_not_leased<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let (process, other) = (ProcessId::new(), ProcessId::new());
    let before = sorted(ask(&store, process, LONG).await);
    let strangers = [partition(&OTHER, 0), partition(&PARTED, 4), partition(&PARTED_SECOND, 0)];
    for (stranger, asking) in strangers.into_iter().flat_map(|id| [(id.clone(), process), (id, other)]) {
        for wanted in [vec![stranger.clone()], vec![partition(&PARTED, 0), stranger.clone()]] {
            let refused = store.lease(&LeaseRequest { process: asking, timeout: LONG, wanted }).await;
            match refused {
                Err(StoreError::Gone { what }) => assert!(what.contains(&*stranger.name), "{what}"),
                other => panic!("expected a refusal of {stranger:?}, got {other:?}"),
            }
        }
    }
    assert_eq!(sorted(ask(&store, process, LONG).await), before, "the others count as if they had not asked");
    assert!(store.lease(&LeaseRequest { process, timeout: LONG, wanted: vec![] }).await.expect("readable").is_empty());
}

/// Checks what its name says.
pub async fn what_is_kept_keeps_its_epoch<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let (process, other) = (ProcessId::new(), ProcessId::new());
    let before = sorted(ask(&store, process, LONG).await);
    assert_eq!(sorted(ask(&store, process, LONG).await), before);
    assert_eq!(ask(&store, other, LONG).await, [], "what another has is not taken");
    let kept = sorted(ask(&store, process, LONG).await);
    assert_eq!(kept.len(), 2, "the other one's half is given up");
    assert!(kept.iter().all(|lease| before.contains(lease)));
}

/// Checks what its name says: with two, with three, and when it has come to rest.
pub async fn partitions_are_shared_fairly<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let processes = [ProcessId::new(), ProcessId::new(), ProcessId::new()];
    for count in [2, 3] {
        for _ in 0..4 {
            for process in &processes[..count] {
                ask(&store, *process, LONG).await;
            }
        }
        let before = owners(&store).await;
        assert_eq!(before.len(), 4, "every partition is run");
        let share = 4_usize.div_ceil(count);
        for process in &processes[..count] {
            let mine = before.values().filter(|owner| *owner == process).count();
            assert!(mine <= share, "{mine} are more than a share of {share}");
        }
        let epochs: Vec<_> = checkpoints(&store, &PARTED).await.iter().map(|checkpoint| checkpoint.epoch).collect();
        for process in &processes[..count] {
            let leases = ask(&store, *process, LONG).await;
            assert_eq!(leases.len(), before.values().filter(|owner| *owner == process).count());
        }
        assert_eq!(owners(&store).await, before, "nothing moves any more");
        let after: Vec<_> = checkpoints(&store, &PARTED).await.iter().map(|checkpoint| checkpoint.epoch).collect();
        assert_eq!(after, epochs);
    }
}

/// Checks what its name says, and that what the former one still writes is fenced.
pub async fn each_new_owner_has_a_greater_epoch<S: Store>(store: S) {
    let mut former = Worker::start(&store, &FIRST).await;
    for _ in 0..3 {
        store.leave(former.process).await.expect("left");
        let mut owner = Worker::start(&store, &FIRST).await;
        assert!(owner.epoch > former.epoch);
        let late = former.batch(BatchWork::Nothing, Some(0));
        let fenced = former.project(late).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
        let batch = owner.batch(BatchWork::Nothing, Some(0));
        owner.project(batch).await.expect("it is the owner");
        former = owner;
    }
}

/// Checks what its name says, also where it comes back itself.
pub async fn what_was_left_can_be_taken_at_once<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let (process, other) = (ProcessId::new(), ProcessId::new());
    let before = sorted(ask(&store, process, LONG).await);
    store.leave(process).await.expect("left");
    store.leave(process).await.expect("left already");
    assert_eq!(owners(&store).await, BTreeMap::new());
    let after = sorted(ask(&store, other, LONG).await);
    assert!(after.iter().zip(&before).all(|(after, before)| after.0 == before.0 && after.1 > before.1));
    assert_eq!(after.len(), 4);
    store.leave(other).await.expect("left");
    assert_eq!(ask(&store, process, LONG).await.len(), 4, "one that has left may come back");
}

/// Checks what its name says.
pub async fn what_a_dead_process_had_is_taken_over<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let (dead, other) = (ProcessId::new(), ProcessId::new());
    let before = sorted(ask(&store, dead, Duration::from_millis(50)).await);
    let taken_over = async {
        loop {
            let leases = sorted(ask(&store, other, LONG).await);
            if leases.len() == 4 {
                return leases;
            }
            tokio::task::yield_now().await;
        }
    };
    let after = within(taken_over).await;
    assert!(after.iter().zip(&before).all(|(after, before)| after.0 == before.0 && after.1 > before.1));
    assert!(owners(&store).await.values().all(|owner| *owner == other));
    // It was not dead after all: it has nothing any more.
    assert_eq!(ask(&store, dead, LONG).await, []);
}

/// Checks what its name says: its epoch stays, too.
pub async fn a_process_that_was_late_keeps_what_nobody_took<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let process = ProcessId::new();
    let before = sorted(ask(&store, process, Duration::ZERO).await);
    assert_eq!(sorted(ask(&store, process, LONG).await), before);
}

/// Checks what its name says.
pub async fn what_a_process_wants_no_more_is_given_up<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let (process, other) = (ProcessId::new(), ProcessId::new());
    ask(&store, process, LONG).await;
    let wanted = vec![partition(&PARTED, 2)];
    let leases = store.lease(&LeaseRequest { process, timeout: LONG, wanted }).await.expect("readable");
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].id, partition(&PARTED, 2));
    assert_eq!(owners(&store).await.len(), 1);
    let mut taken = sorted(ask(&store, other, LONG).await);
    taken.retain(|(number, _)| *number != 2);
    assert_eq!(taken.len(), 3, "what only one wants is his");
}

/// Checks what its name says.
pub async fn many_that_ask_at_once_never_share_a_partition<S: Store>(store: S) {
    register(&store, &PARTED).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let process = ProcessId::new();
                let mut leases = Vec::new();
                for _ in 0..10 {
                    leases.extend(ask(&store, process, LONG).await.into_iter().map(|lease| (lease.id, lease.epoch)));
                }
                (process, leases)
            })
        })
        .collect();
    let mut owner_of = BTreeMap::new();
    for task in tasks {
        let (process, leases) = task.await.expect("no panic");
        for lease in leases {
            let owner = *owner_of.entry(lease.clone()).or_insert(process);
            assert_eq!(owner, process, "{lease:?} has two owners");
        }
    }
    assert_eq!(owners(&store).await.len(), 4);
}
