//! The order of decimal numbers that are stored as text.

use std::cmp::Ordering;

/// The name of the collation.
pub(super) const COLLATION: &str = "es_decimal";

/// A decimal number: its sign, and its digits before and behind the point without zeros that say nothing.
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        // There is one zero.
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole, fraction })
    }

    /// Compares without the signs. Texts of fractions compare as the fractions do.
    fn size(&self, other: &Self) -> Ordering {
        let length = self.whole.len().cmp(&other.whole.len());
        length.then_with(|| self.whole.cmp(other.whole)).then_with(|| self.fraction.cmp(other.fraction))
    }
}

/// Compares two decimal numbers by their values. What is none comes behind all numbers, in the order of its text.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    match (Number::parse(one), Number::parse(other)) {
        (Some(one), Some(other)) => match (one.negative, other.negative) {
            (false, false) => one.size(&other),
            (true, true) => other.size(&one),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        },
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_in_the_order_of_their_values() {
        let sorted = ["-10", "-9.5", "-1.01", "-1", "-0.5", "0", "0.05", "0.5", "1", "1.5", "2", "10", "99", "100.001"];
        for (place, one) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                assert_eq!(compare(one, other), place.cmp(&other_place), "{one} against {other}");
            }
        }
    }

    #[test]
    fn digits_that_say_nothing_do_not_matter() {
        for (one, other) in
            [("1", "1.00"), ("+1", "01"), ("-0", "0.0"), (".5", "0.50"), ("-2.10", "-02.1"), ("3.", "3")]
        {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} against {other}");
        }
    }

    #[test]
    fn many_digits_are_compared_to_the_last() {
        assert_eq!(compare("79228162514264337593543950335", "79228162514264337593543950334"), Ordering::Greater);
        assert_eq!(compare("-0.0000000000000000000000000001", "0"), Ordering::Less);
    }

    #[test]
    fn what_is_no_number_comes_last() {
        for text in ["", "-", ".", "1e3", "x", "1.2.3"] {
            assert_eq!(compare(text, "999999"), Ordering::Greater, "`{text}`");
        }
        assert_eq!(compare("a", "b"), Ordering::Less);
    }
}
