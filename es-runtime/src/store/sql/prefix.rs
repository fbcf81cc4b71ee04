//! Texts that begin with another, as a range.

/// Gives the first text behind all that begin with this one; `None` where there is none.
pub(in crate::store) fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The next character; the surrogates are none.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn the_text_behind_a_prefix_is_the_next_in_order() {
        assert_eq!(behind("ab").as_deref(), Some("ac"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(behind("").as_deref(), None);
        assert_eq!(behind("\u{10ffff}").as_deref(), None);
        assert_eq!(behind("\u{7f}").as_deref(), Some("\u{80}"));
    }
}
