//! Text in constant evaluation.

/// Stops constant evaluation with a text put together from its parts.
#[track_caller]
#[allow(clippy::panic, reason = "in constant evaluation a panic is a compile error")]
pub(super) const fn stop(parts: [&str; 7]) -> ! {
    const ROOM: usize = 512;
    let mut text = [0; ROOM];
    let mut length = 0;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut index = 0;
        while index < bytes.len() && length < ROOM {
            text[length] = bytes[index];
            length += 1;
            index += 1;
        }
        part += 1;
    }
    match std::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("a name is used twice"),
    }
}

/// Compares two texts in constant evaluation.
pub const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}
