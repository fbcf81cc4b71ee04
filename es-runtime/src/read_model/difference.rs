//! What differs between a stored table and the program's.

use std::fmt::Write as _;

/// Gives the lines that differ: with `-` those that are stored, with `+` the program's; others with a blank.
pub(crate) fn difference(stored: &str, declared: &str) -> String {
    let (stored, declared): (Vec<_>, Vec<_>) = (stored.lines().collect(), declared.lines().collect());
    let common = common(&stored, &declared);
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    while let (Some(old), new) = (stored.get(i), declared.get(j)) {
        if Some(old) == new {
            let _ = writeln!(text, "  {old}");
            (i, j) = (i + 1, j + 1);
        } else if let Some(new) = new.filter(|_| common(i, j + 1) > common(i + 1, j)) {
            let _ = writeln!(text, "+ {new}");
            j += 1;
        } else {
            let _ = writeln!(text, "- {old}");
            i += 1;
        }
    }
    for new in declared.iter().skip(j) {
        let _ = writeln!(text, "+ {new}");
    }
    text
}

/// Gives how many lines the rests of both have in common, in order. Tables have few columns.
fn common<'a>(a: &'a [&str], b: &'a [&str]) -> impl Fn(usize, usize) -> usize + use<'a> {
    let mut table = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            table[i][j] = if a[i] == b[j] { table[i + 1][j + 1] + 1 } else { table[i + 1][j].max(table[i][j + 1]) };
        }
    }
    move |i, j| table.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn changed_added_and_removed_lines_are_shown_at_their_places() {
        let text =
            difference("a: text key\nb: integer\nc: text\n", "a: text key\nb: integer index\nc: text\nd: json\n");
        assert_eq!(text, "  a: text key\n- b: integer\n+ b: integer index\n  c: text\n+ d: json\n");
    }

    #[test]
    fn another_order_is_a_difference() {
        assert_eq!(difference("a\nb\n", "b\na\n"), "- a\n  b\n+ a\n");
    }

    #[test]
    fn nothing_stored_or_declared_is_shown() {
        assert_eq!(difference("", "a\n"), "+ a\n");
        assert_eq!(difference("a\n", ""), "- a\n");
    }
}
