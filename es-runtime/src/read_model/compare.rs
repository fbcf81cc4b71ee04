//! One order of values for every store.

use std::cmp::Ordering;

use super::Value;

/// Compares two values of one column: nothing comes first, texts by their bytes, decimals by what they are worth.
///
/// The order is total. Values of different types, which no column has, are ordered by their types.
pub(crate) fn cmp_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        // No value is NaN; -0 equals 0.
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b).unwrap_or_else(|| a.total_cmp(b)),
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => cmp_decimals(a, b),
        _ => rank(a).cmp(&rank(b)),
    }
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::Integer(_) => 2,
        Value::Real(_) => 3,
        Value::Text(_) => 4,
        Value::Uuid(_) => 5,
        Value::Timestamp(_) => 6,
        Value::Date(_) => 7,
        Value::Decimal(_) => 8,
        Value::Json(_) => 9,
    }
}

/// Compares decimal texts exactly, whatever their length: `1.10` equals `1.1`. What is no decimal number comes first, by its bytes.
pub(crate) fn cmp_decimals(a: &str, b: &str) -> Ordering {
    match (Digits::of(a), Digits::of(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => a.as_bytes().cmp(b.as_bytes()),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// The digits of a number that matter: without zeros at the ends.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let point = text.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(point) => (text.get(..point)?, text.get(point + 1..)?),
            None => (text, &[][..]),
        };
        let digits = whole.iter().chain(fraction);
        if (whole.is_empty() && fraction.is_empty()) || !digits.clone().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = whole.iter().take_while(|digit| **digit == b'0').count();
        let trailing = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        let (whole, fraction) = (whole.get(leading..)?, fraction.get(..fraction.len() - trailing)?);
        // There is one zero.
        Some(Self { negative: negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = self.whole.len().cmp(&other.whole.len());
        let magnitude =
            magnitude.then_with(|| self.whole.cmp(other.whole)).then_with(|| self.fraction.cmp(other.fraction));
        match (self.negative, other.negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (a, b) => b.cmp(&a),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_by_what_they_are_worth() {
        let ascending =
            ["-100", "-99.5", "-1.01", "-1", "-0.5", "0", "0.001", "0.01", ".5", "1", "1.1", "2", "10", "10.01"];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(cmp_decimals(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in [("1.10", "1.1"), ("0", "-0.00"), ("007", "7."), ("+3", "3")] {
            assert_eq!(cmp_decimals(a, b), Ordering::Equal, "{a} and {b}");
        }
    }

    #[test]
    fn decimals_beyond_every_machine_number_are_exact() {
        let (a, b) = (format!("1{}", "0".repeat(60)), format!("1{}1", "0".repeat(59)));
        assert_eq!(cmp_decimals(&a, &b), Ordering::Less);
        assert_eq!(cmp_decimals("0.10000000000000000000000000000000000001", "0.1"), Ordering::Greater);
    }

    #[test]
    fn what_is_no_decimal_comes_first() {
        for text in ["", "-", ".", "1e3", "1.2.3", "x"] {
            assert_eq!(cmp_decimals(text, "-1000"), Ordering::Less, "{text:?}");
        }
        assert_eq!(cmp_decimals("a", "b"), Ordering::Less);
    }

    #[test]
    fn nothing_comes_before_every_value() {
        for value in [Value::Boolean(false), Value::Integer(i64::MIN), Value::Text(String::new())] {
            assert_eq!(cmp_values(&Value::Null, &value), Ordering::Less);
        }
        assert_eq!(cmp_values(&Value::Null, &Value::Null), Ordering::Equal);
        assert_eq!(cmp_values(&Value::Real(-0.0), &Value::Real(0.0)), Ordering::Equal);
    }
}
