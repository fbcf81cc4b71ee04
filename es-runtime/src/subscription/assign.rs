//! Who runs what: events to partitions, partitions to processes.
//!
//! Both decisions are pure: every store makes them alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::{PartitionId, ProcessId};

/// Gives the partition of a sequence key: the same in every program, for ever (FNV-1a).
///
/// The key is the text of an event's first sequence key, or its stream's where it has none.
///
/// ```
/// use es_runtime::subscription::assign::partition_of;
/// assert_eq!(partition_of(r#"["","a"]"#, 1), 0);
/// assert!(partition_of(r#"["","a"]"#, 8) < 8);
/// ```
#[must_use]
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    if partitions <= 1 {
        return 0;
    }
    let hash = key.bytes().fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // The remainder is below a `u32`.
    u32::try_from(hash % u64::from(partitions)).unwrap_or(0)
}

/// What the living processes want to run: their latest requests, that of the asker included.
pub type Wants = BTreeMap<ProcessId, BTreeSet<PartitionId>>;

/// What changes when a process asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// What it takes: nobody living has it.
    pub take: Vec<PartitionId>,
    /// What it gives up: it is beyond its share, and another one wants it; or it wants it no more.
    pub give_up: Vec<PartitionId>,
}

/// Decides what a process takes and gives up when it asks.
///
/// An owner that is not among the living counts as none. A share is the number of partitions that a process wants and others want too, divided by
/// the number of processes that want one of these, rounded up. Up to its share a process keeps what it has. The rest goes to whoever has least of those who
/// want it, so that each partition that is wanted is run, even where programs of several versions want different ones.
#[must_use]
pub fn fair_share(asker: ProcessId, wants: &Wants, owners: &BTreeMap<PartitionId, ProcessId>) -> Share {
    let assigned = assign(asker, wants, owners);
    let lives = |owner: &ProcessId| wants.contains_key(owner);
    let mut share = Share::default();
    for (id, process) in &assigned {
        if *process == asker && owners.get(id).is_none_or(|owner| *owner != asker && !lives(owner)) {
            share.take.push(id.clone());
        }
    }
    for (id, owner) in owners {
        if *owner == asker && assigned.get(id) != Some(&asker) {
            share.give_up.push(id.clone());
        }
    }
    share
}

/// Gives each wanted partition to one process.
fn assign(
    asker: ProcessId,
    wants: &Wants,
    owners: &BTreeMap<PartitionId, ProcessId>,
) -> BTreeMap<PartitionId, ProcessId> {
    let mut wanted_by: BTreeMap<&PartitionId, Vec<ProcessId>> = BTreeMap::new();
    for (process, ids) in wants {
        for id in ids {
            wanted_by.entry(id).or_default().push(*process);
        }
    }
    let mut assigned = BTreeMap::new();
    let mut counts: BTreeMap<ProcessId, usize> = BTreeMap::new();
    // What only one wants is his, and does not count.
    wanted_by.retain(|id, processes| {
        let contested = processes.len() > 1;
        if !contested {
            assigned.extend(processes.iter().map(|process| ((*id).clone(), *process)));
        }
        contested
    });
    let shares: BTreeMap<ProcessId, usize> =
        wants.keys().map(|process| (*process, share_of(*process, &wanted_by))).collect();
    for (id, processes) in &wanted_by {
        let Some(owner) = owners.get(*id).filter(|owner| processes.contains(owner)) else { continue };
        let count = counts.entry(*owner).or_default();
        if shares.get(owner).is_some_and(|share| *count < *share) {
            *count += 1;
            assigned.insert((*id).clone(), *owner);
        }
    }
    for (id, processes) in &wanted_by {
        if assigned.contains_key(*id) {
            continue;
        }
        let load = |process: &&ProcessId| (counts.get(*process).copied().unwrap_or(0), **process != asker, **process);
        if let Some(process) = processes.iter().min_by_key(load) {
            *counts.entry(*process).or_default() += 1;
            assigned.insert((*id).clone(), *process);
        }
    }
    assigned
}

fn share_of(process: ProcessId, contested: &BTreeMap<&PartitionId, Vec<ProcessId>>) -> usize {
    let mine = contested.values().filter(|processes| processes.contains(&process));
    let others: BTreeSet<ProcessId> = mine.clone().flatten().copied().collect();
    mine.count().div_ceil(others.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn process(number: u128) -> ProcessId {
        ProcessId(Uuid::from_u128(number))
    }

    fn partition(number: u32) -> PartitionId {
        PartitionId { name: "balances".into(), version: 1, partition: number }
    }

    /// A small world: who wants what, who has what.
    #[derive(Default)]
    struct World {
        wants: Wants,
        owners: BTreeMap<PartitionId, ProcessId>,
    }

    impl World {
        fn ask(&mut self, number: u128, wanted: impl IntoIterator<Item = u32>) -> usize {
            let asker = process(number);
            self.wants.insert(asker, wanted.into_iter().map(partition).collect());
            let share = fair_share(asker, &self.wants, &self.owners);
            for id in share.give_up {
                assert_eq!(self.owners.remove(&id), Some(asker), "only what one has can be given up");
            }
            for id in share.take {
                let before = self.owners.insert(id, asker);
                assert!(before.is_none_or(|owner| !self.wants.contains_key(&owner)), "taken from the living");
            }
            self.count(number)
        }

        fn count(&self, number: u128) -> usize {
            self.owners.values().filter(|owner| **owner == process(number)).count()
        }
    }

    #[test]
    fn partitions_of_keys_never_change() {
        let found: Vec<_> = ["", "a", r#"["","a"]"#, "account/1", "ä"].map(|key| partition_of(key, 7)).into();
        assert_eq!(found, [2, 5, 6, 3, 1]);
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0; 8];
        for number in 0..8_000 {
            counts[partition_of(&format!("[\"\",\"{number}\"]"), 8) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_process_takes_everything() {
        assert_eq!(World::default().ask(1, 0..5), 5);
    }

    #[test]
    fn a_second_process_gets_its_half_when_the_first_has_given_it_up() {
        let mut world = World::default();
        world.ask(1, 0..5);
        assert_eq!(world.ask(2, 0..5), 0);
        assert_eq!(world.ask(1, 0..5), 3);
        assert_eq!(world.ask(2, 0..5), 2);
        assert_eq!(world.ask(1, 0..5), 3);
    }

    #[test]
    fn three_processes_share_and_then_nothing_moves() {
        let mut world = World::default();
        for _ in 0..4 {
            for number in 1..=3 {
                world.ask(number, 0..8);
            }
        }
        assert_eq!([1, 2, 3].map(|number| world.count(number)), [3, 3, 2]);
        let before = world.owners.clone();
        for number in [3, 1, 2] {
            world.ask(number, 0..8);
        }
        assert_eq!(world.owners, before);
    }

    #[test]
    fn what_a_dead_process_had_is_taken() {
        let mut world = World::default();
        world.ask(1, 0..4);
        world.wants.clear();
        assert_eq!(world.ask(2, 0..4), 4);
    }

    #[test]
    fn what_is_wanted_no_more_is_given_up() {
        let mut world = World::default();
        world.ask(1, 0..4);
        assert_eq!(world.ask(1, 0..1), 1);
        assert_eq!(world.ask(1, []), 0);
    }

    #[test]
    fn every_wanted_partition_is_run_where_programs_differ() {
        let mut world = World::default();
        for _ in 0..4 {
            world.ask(1, 0..4);
            world.ask(2, 0..2);
            world.ask(3, 2..4);
        }
        assert_eq!(world.owners.len(), 4);
        let before = world.owners.clone();
        for (number, wanted) in [(1, 0..4), (2, 0..2), (3, 2..4)] {
            world.ask(number, wanted);
        }
        assert_eq!(world.owners, before, "it comes to rest");
    }

    #[test]
    fn what_only_one_wants_does_not_count_against_its_share() {
        let mut world = World::default();
        for _ in 0..3 {
            world.ask(1, 0..8);
            world.ask(2, 0..2);
        }
        assert_eq!((world.count(1), world.count(2)), (7, 1));
    }
}
