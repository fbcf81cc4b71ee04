//! Which partition an event belongs to.

/// Gives the partition of a sequence key: the same on every machine, for ever (64-bit FNV-1a).
///
/// ```
/// use es_runtime::subscription::partition_of;
/// assert_eq!(partition_of("account/42", 1), 0);
/// assert_eq!(partition_of("account/42", 8), partition_of("account/42", 8));
/// ```
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the remainder is less than `partitions`")]
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash % u64::from(partitions.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_key_never_changes() {
        // From the reference implementation: FNV-1a of "foobar" is 0x85944171f73967e8.
        assert_eq!(u64::from(partition_of("foobar", 1_000)), 0x8594_4171_f739_67e8 % 1_000);
        assert_eq!(partition_of("", 7), u32::try_from(0xcbf2_9ce4_8422_2325_u64 % 7).unwrap());
    }

    #[test]
    fn no_partitions_are_taken_for_one() {
        assert_eq!(partition_of("a", 0), 0);
    }
}
