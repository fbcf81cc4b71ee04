//! Times with the precision that logs keep.

use chrono::{DateTime, Utc};

/// Returns a time in whole microseconds: what is finer is cut off, as every store keeps it. A leap second becomes the beginning of the next
/// minute, which no store can tell from it.
pub(crate) fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// Returns the machine's time in whole microseconds.
pub(crate) fn now() -> DateTime<Utc> {
    whole_micros(Utc::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut_off() {
        for (given, kept) in [
            ("2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00.999999Z"),
            ("1999-12-31T23:59:59.000001999Z", "1999-12-31T23:59:59.000001Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00.000000001Z", "0001-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60.500000001Z", "2017-01-01T00:00:00.5Z"),
        ] {
            let (given, kept): (DateTime<Utc>, DateTime<Utc>) = (given.parse().unwrap(), kept.parse().unwrap());
            assert_eq!(whole_micros(given), kept);
            assert_eq!(whole_micros(kept), kept);
        }
    }

    #[test]
    fn the_first_and_the_last_time_are_times() {
        assert_eq!(whole_micros(DateTime::<Utc>::MIN_UTC), DateTime::<Utc>::MIN_UTC);
        assert!(whole_micros(DateTime::<Utc>::MAX_UTC) <= DateTime::<Utc>::MAX_UTC);
    }
}
