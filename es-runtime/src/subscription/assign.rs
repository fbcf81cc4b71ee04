//! Which partition a key is in, and which process runs a partition.

use std::collections::BTreeMap;

use crate::event::StreamId;
use crate::read_model::{RowKey, Value};
use crate::store::{PartitionId, ProcessId};

/// Gives the partition of a sequence key. The same on every machine, for ever: letters and watermarks stand on it.
///
/// ```
/// use es_runtime::subscription::partition_of;
/// assert_eq!(partition_of("anything", 1), 0);
/// assert!(partition_of(r#"["","42"]"#, 8) < 8);
/// ```
#[must_use]
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    // FNV-1a, 64 bits.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // The remainder is less than a `u32`.
    u32::try_from(hash % u64::from(partitions.max(1))).unwrap_or_default()
}

/// Gives the sequence key of a stream: for events whose rows are not known.
#[must_use]
pub fn stream_key(stream: &StreamId) -> RowKey {
    let (category, key) = (stream.category().to_owned(), stream.key().to_owned());
    RowKey::new(stream.tenant(), &[Value::Text(category), Value::Text(key)])
}

/// A partition, and which living process has it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: PartitionId,
    pub(crate) owner: Option<ProcessId>,
}

/// A living process, and what it can run.
#[derive(Clone, Debug)]
pub(crate) struct Living {
    pub(crate) process: ProcessId,
    pub(crate) wanted: Vec<PartitionId>,
}

/// What a process is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) take: Vec<PartitionId>,
    pub(crate) release: Vec<PartitionId>,
}

/// Decides what a process takes and what it gives up.
///
/// Partitions that the same processes want are shared evenly among those, rounded up. So a partition that only one process wants is that
/// one's, whatever else it runs.
pub(crate) fn assign(me: ProcessId, held: &[Held], living: &[Living]) -> Assignment {
    let mut groups: BTreeMap<Vec<ProcessId>, Vec<&Held>> = BTreeMap::new();
    let mut decided = Assignment::default();
    for partition in held {
        let wants = |process: &&Living| process.wanted.contains(&partition.id);
        let mut wanters: Vec<_> = living.iter().filter(wants).map(|process| process.process).collect();
        wanters.sort_unstable();
        wanters.dedup();
        if wanters.contains(&me) {
            groups.entry(wanters).or_default().push(partition);
        } else if partition.owner == Some(me) {
            decided.release.push(partition.id.clone());
        }
    }
    for (wanters, mut partitions) in groups {
        partitions.sort_by(|one, other| one.id.cmp(&other.id));
        let share = partitions.len().div_ceil(wanters.len());
        let is_free = |held: &&&Held| held.owner.is_none_or(|owner| !living.iter().any(|one| one.process == owner));
        let mine: Vec<_> = partitions.iter().filter(|held| held.owner == Some(me)).collect();
        let free = partitions.iter().filter(is_free).take(share.saturating_sub(mine.len()));
        decided.take.extend(free.map(|held| held.id.clone()));
        decided.release.extend(mine.iter().skip(share).map(|held| held.id.clone()));
    }
    decided
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(name: &str, partition: u32) -> PartitionId {
        PartitionId { name: name.into(), version: 1, partition }
    }

    fn process(number: u128) -> ProcessId {
        ProcessId(uuid::Uuid::from_u128(number))
    }

    fn four(owners: [Option<u128>; 4]) -> Vec<Held> {
        let held = owners.into_iter().zip(0..);
        held.map(|(owner, number)| Held { id: partition("p", number), owner: owner.map(process) }).collect()
    }

    fn living(numbers: &[u128]) -> Vec<Living> {
        let wanted = (0..4).map(|number| partition("p", number)).collect::<Vec<_>>();
        numbers.iter().map(|number| Living { process: process(*number), wanted: wanted.clone() }).collect()
    }

    fn numbers(ids: &[PartitionId]) -> Vec<u32> {
        ids.iter().map(|id| id.partition).collect()
    }

    #[test]
    fn a_lone_process_takes_everything() {
        let decided = assign(process(1), &four([None; 4]), &living(&[1]));
        assert_eq!((numbers(&decided.take), decided.release.len()), (vec![0, 1, 2, 3], 0));
    }

    #[test]
    fn what_is_beyond_the_fair_share_is_given_up() {
        let held = four([Some(1), Some(1), Some(1), Some(1)]);
        let decided = assign(process(1), &held, &living(&[1, 2]));
        assert_eq!((decided.take.len(), numbers(&decided.release)), (0, vec![2, 3]));
        // Nothing is free yet for the other one.
        assert_eq!(assign(process(2), &held, &living(&[1, 2])), Assignment::default());
    }

    #[test]
    fn shares_are_rounded_up_so_that_nothing_is_left() {
        let held = four([Some(1), Some(1), None, None]);
        // Three processes: two each at most.
        assert_eq!(numbers(&assign(process(2), &held, &living(&[1, 2, 3])).take), [2, 3]);
        assert_eq!(assign(process(1), &held, &living(&[1, 2, 3])), Assignment::default());
    }

    #[test]
    fn the_partitions_of_a_dead_process_are_free() {
        let held = four([Some(9), Some(9), Some(2), Some(2)]);
        assert_eq!(numbers(&assign(process(1), &held, &living(&[1, 2])).take), [0, 1]);
    }

    #[test]
    fn a_partition_that_only_one_wants_is_always_run() {
        let mut held = four([None; 4]);
        held.push(Held { id: partition("other", 0), owner: None });
        let mut living = living(&[1, 2]);
        living[0].wanted.push(partition("other", 0));
        let decided = assign(process(1), &held, &living);
        assert!(decided.take.contains(&partition("other", 0)));
        assert_eq!(decided.take.len(), 3);
        // The other one neither takes nor counts it.
        assert_eq!(assign(process(2), &held, &living).take.len(), 2);
    }

    #[test]
    fn what_a_process_no_longer_wants_is_given_up() {
        let mut living = living(&[1]);
        living[0].wanted.pop();
        let decided = assign(process(1), &four([None, None, None, Some(1)]), &living);
        assert_eq!((numbers(&decided.take), numbers(&decided.release)), (vec![0, 1, 2], vec![3]));
    }

    #[test]
    fn the_hash_of_keys_never_changes() {
        // Published values of FNV-1a.
        let whole = |key: &str| partition_of(key, u32::MAX);
        assert_eq!(u64::from(whole("")), 0xcbf2_9ce4_8422_2325 % u64::from(u32::MAX));
        assert_eq!(u64::from(whole("a")), 0xaf63_dc4c_8601_ec8c % u64::from(u32::MAX));
        assert_eq!(u64::from(whole("foobar")), 0x8594_4171_f739_67e8 % u64::from(u32::MAX));
        assert_eq!(partition_of("a", 0), 0);
    }
}
