//! Texts as PostgreSQL takes them: without NUL.

use std::borrow::Cow;

/// Stands before a character that is written in another way. It and NUL are the two least characters, so the order stays the same.
const ESCAPE: char = '\u{1}';

/// Writes a text so that PostgreSQL takes it. Texts keep their order, and no two become the same.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => escaped.extend([ESCAPE, '\u{1}']),
            ESCAPE => escaped.extend([ESCAPE, '\u{2}']),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// Reads a text that was written with [`escaped`].
pub(super) fn unescaped(text: String) -> String {
    if !text.bytes().any(|byte| byte == 1) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            ESCAPE => match characters.next() {
                Some('\u{1}') => '\0',
                // Nothing else is written behind it.
                Some(_) | None => ESCAPE,
            },
            other => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_texts_stay_as_they_are() {
        for text in ["", "a", "ä", "\u{2}\u{7f}", "🦀"] {
            assert_eq!(escaped(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "[\u{0}-\u{3}a]{0,8}") {
            let stored = escaped(&text).into_owned();
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(unescaped(stored), text);
        }

        #[test]
        fn texts_keep_their_order(one in "[\u{0}-\u{3}a]{0,6}", other in "[\u{0}-\u{3}a]{0,6}") {
            prop_assert_eq!(escaped(&one).cmp(&escaped(&other)), one.cmp(&other));
        }
    }
}
