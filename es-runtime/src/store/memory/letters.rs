//! Letters: events that are put aside.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::checkpoints::PartitionRow;
use crate::event::GlobalPosition;
use crate::store::NewLetter;
use crate::time::whole_micros;

/// A letter of a partition.
#[derive(Clone, Debug)]
pub(super) struct LetterRow {
    pub(super) letter: NewLetter,
    pub(super) touched: DateTime<Utc>,
}

impl PartitionRow {
    /// Gives the sequence keys that have letters.
    pub(super) fn parked_keys(&self) -> BTreeSet<&str> {
        self.letters.values().map(|row| row.letter.key.as_str()).collect()
    }

    /// Tells whether an event is put aside, under whatever key.
    pub(super) fn has_letter(&self, position: GlobalPosition) -> bool {
        self.letters_at(position).next().is_some()
    }

    /// Puts an event aside. One that is there under this key already is replaced.
    pub(super) fn put_aside(&mut self, mut letter: NewLetter) {
        letter.at = whole_micros(letter.at);
        let (place, touched) = ((letter.position, letter.key.clone()), letter.at);
        self.letters.insert(place, LetterRow { letter, touched });
    }

    /// Takes an event's letters away, under all its keys.
    pub(super) fn settle(&mut self, position: GlobalPosition) -> bool {
        let before = self.letters.len();
        self.letters.retain(|(at, _), _| *at != position);
        self.letters.len() < before
    }

    /// Notes that an event was tried again in vain.
    pub(super) fn touch(&mut self, position: GlobalPosition, cause: &str, now: DateTime<Utc>) {
        for (_, row) in self.letters.range_mut((position, String::new())..).take_while(|((at, _), _)| *at == position) {
            row.letter.cause = Some(cause.to_owned());
            row.letter.attempts = row.letter.attempts.saturating_add(1);
            row.touched = now;
        }
    }

    fn letters_at(&self, position: GlobalPosition) -> impl Iterator<Item = &LetterRow> {
        let from = self.letters.range((position, String::new())..);
        from.take_while(move |((at, _), _)| *at == position).map(|(_, row)| row)
    }
}
