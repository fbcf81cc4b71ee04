//! Readable differences.

use std::fmt::{Debug, Write as _};

use similar::{ChangeTag, TextDiff};

/// Shows two texts line by line: `-` expected only, `+` found only.
pub(crate) fn lines(expected: &str, found: &str) -> String {
    let mut text = String::new();
    for change in TextDiff::from_lines(expected, found).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{sign} {change}");
    }
    text
}

/// Shows two values as [`lines`] does.
pub(crate) fn values<A: Debug + ?Sized, B: Debug + ?Sized>(expected: &A, found: &B) -> String {
    lines(&format!("{expected:#?}\n"), &format!("{found:#?}\n"))
}
