//! Names that are stored or shown.

use quote::ToTokens;

use crate::diagnostics::{Diagnostics, texts};

/// A stored name is compared byte by byte for as long as the data lives, and appears in URLs, topics and tables: it has no
/// spaces and no letters that look alike.
pub(crate) fn stored(what: &str, name: &str, at: &impl ToTokens, diagnostics: &mut Diagnostics) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        diagnostics.error(at, texts::empty_name(what));
    } else if !name.chars().all(allowed) {
        diagnostics.error(at, texts::bad_name(what, name));
    }
}

/// The longest name of a table or column: stores append to it and keep it below their own limit.
const LONGEST_SQL: usize = 50;

/// A table's name goes into SQL as it is, beside the tables of the runtime and of the store.
pub(crate) fn table(name: &str, at: &impl ToTokens, diagnostics: &mut Diagnostics) {
    let taken = ["es_", "_es", "sqlite_", "pg_"].into_iter().find(|prefix| name.starts_with(prefix));
    if name.is_empty() {
        diagnostics.error(at, texts::empty_name("table"));
    } else if let Some(prefix) = taken {
        diagnostics.error(at, texts::reserved_table(name, prefix));
    } else if name.len() > LONGEST_SQL {
        diagnostics.error(at, texts::long_table(name.len(), LONGEST_SQL));
    } else if !is_sql(name) {
        diagnostics.error(at, texts::bad_table(name));
    }
}

/// The columns that PostgreSQL gives to every table.
const OF_POSTGRES: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// Returns `true` if no table of PostgreSQL can have a column of this name.
pub(crate) fn is_postgres_column(name: &str) -> bool {
    OF_POSTGRES.contains(&name)
}

/// Tells whether a name is the same in every dialect of SQL, without quotes.
pub(crate) fn is_sql(name: &str) -> bool {
    name.len() <= LONGEST_SQL
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Verbs that begin a command's name and seldom a noun's.
const VERBS: [&str; 40] = [
    "Accept",
    "Activate",
    "Add",
    "Apply",
    "Approve",
    "Assign",
    "Book",
    "Cancel",
    "Change",
    "Close",
    "Confirm",
    "Create",
    "Deactivate",
    "Delete",
    "Deposit",
    "Disable",
    "Enable",
    "Finish",
    "Grant",
    "Issue",
    "Make",
    "Move",
    "Open",
    "Pay",
    "Place",
    "Publish",
    "Record",
    "Refund",
    "Register",
    "Reject",
    "Release",
    "Remove",
    "Rename",
    "Reserve",
    "Revoke",
    "Send",
    "Start",
    "Submit",
    "Update",
    "Withdraw",
];

/// Past tenses that do not end in `ed`.
const IRREGULAR: [&str; 30] = [
    "Begun",
    "Bought",
    "Broken",
    "Built",
    "Chosen",
    "Cut",
    "Done",
    "Drawn",
    "Found",
    "Given",
    "Gone",
    "Held",
    "Kept",
    "Left",
    "Lost",
    "Made",
    "Met",
    "Paid",
    "Put",
    "Run",
    "Sent",
    "Set",
    "Shown",
    "Sold",
    "Spent",
    "Split",
    "Taken",
    "Told",
    "Withdrawn",
    "Won",
];

/// An event says what happened: `DepositMoney` reads like a command, `MoneyDeposited` does not.
pub(crate) fn is_imperative(name: &str) -> bool {
    let words = words(name);
    let in_past = |word: &str| word.ends_with("ed") || IRREGULAR.contains(&word);
    words.first().is_some_and(|first| VERBS.contains(&first.as_str())) && !words.iter().any(|word| in_past(word))
}

fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

/// Finds the known word that was probably meant: by rustc's own rule, a third of the letters may be wrong; else by its first
/// letters.
pub(crate) fn similar<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = word.len().max(3) / 3;
    known
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
        .or_else(|| {
            known
                .iter()
                .copied()
                .find(|candidate| candidate.chars().zip(word.chars()).take_while(|(a, b)| a == b).count() >= 4)
        })
}

/// How many letters must be added, removed, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let at = |di: usize, dj: usize| rows.get(i - di).and_then(|row| row.get(j - dj)).copied();
            let same = usize::from(a.get(i - 1) != b.get(j - 1));
            let change = at(1, 1).unwrap_or(i + j) + same;
            let remove = at(1, 0).unwrap_or(i + j) + 1;
            let add = row.get(j - 1).copied().unwrap_or(i + j) + 1;
            let swapped = i > 1 && j > 1 && a.get(i - 1) == b.get(j - 2) && a.get(i - 2) == b.get(j - 1);
            let swap = if swapped { at(2, 2).unwrap_or(i + j) + 1 } else { i + j };
            row.push(change.min(remove).min(add).min(swap));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{is_imperative, similar};

    #[test]
    fn commands_read_as_imperatives_and_events_do_not() {
        for name in ["DepositMoney", "OpenAccount", "Close", "WithdrawMoneyV2"] {
            assert!(is_imperative(name), "{name}");
        }
        for name in
            ["MoneyDeposited", "DepositMade", "OrderPlaced", "TransferCompleted", "PaySlipIssued", "Opened", "Settled"]
        {
            assert!(!is_imperative(name), "{name}");
        }
    }

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        assert_eq!(similar("evnts", &["name", "id", "events"]), Some("events"));
        assert_eq!(similar("nmae", &["name", "id", "events"]), Some("name"));
        assert_eq!(similar("retry", &["retries", "queries"]), Some("retries"));
        assert_eq!(similar("colour", &["name", "id", "events"]), None);
    }
}
