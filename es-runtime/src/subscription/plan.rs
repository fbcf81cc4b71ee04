//! One batch in the making: which events are handled, which are put aside or wait.

use std::ops::Range;

use rustc_hash::FxHashSet;

/// The events of a page that concern a partition, as the decisions see them.
pub(crate) trait Items {
    /// Gives the sequence keys of an event; none where they cannot be found out.
    fn keys(&self, item: usize) -> Vec<String>;
    /// Gives the key of the event's stream.
    fn stream(&self, item: usize) -> String;
}

/// The sequence keys that have letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) keys: FxHashSet<String>,
    pub(crate) letters: usize,
}

/// How much may be put aside in a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) keys: usize,
    pub(crate) letters: usize,
}

/// A letter in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedLetter {
    /// The event's place in the page.
    pub(crate) item: usize,
    pub(crate) key: String,
    /// Why; `None` for one that waits behind another.
    pub(crate) cause: Option<String>,
    pub(crate) attempts: u32,
}

/// There is no room for another letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// What one batch is to do with a range of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The events it deals with.
    pub(crate) range: Range<usize>,
    /// Those of them that are handled, in their order.
    pub(crate) handled: Vec<usize>,
    pub(crate) letters: Vec<PlannedLetter>,
    /// Parked keys that events wait behind.
    pub(crate) relied: FxHashSet<String>,
    pub(crate) skipped: usize,
    /// Whether the version becomes the active one with this batch.
    pub(crate) switch: bool,
    /// Keys that this batch parks.
    added: FxHashSet<String>,
}

impl Plan {
    pub(crate) fn new(start: usize) -> Self {
        Self { range: start..start, ..Self::default() }
    }

    /// Takes the next event in: to be handled, or as a letter behind others. Gives whether it is to be handled.
    ///
    /// Whether an event is free depends on what came before it, so events come in their order.
    pub(crate) fn admit(
        &mut self,
        items: &impl Items,
        item: usize,
        parked: &Parked,
        bound: Bound,
    ) -> Result<bool, NoRoom> {
        if parked.keys.is_empty() && self.added.is_empty() {
            self.handled.push(item);
            return Ok(true);
        }
        let mut keys = items.keys(item);
        let stream = items.stream(item);
        let waits = |key: &String| parked.keys.contains(key) || self.added.contains(key);
        if waits(&stream) && !keys.contains(&stream) {
            // Behind the stream too: it may be retried only when it is the first there.
            keys.push(stream);
        }
        if !keys.iter().any(waits) {
            self.handled.push(item);
            return Ok(true);
        }
        self.room(&keys, parked, bound)?;
        self.relied.extend(keys.iter().filter(|key| parked.keys.contains(*key)).cloned());
        self.put_aside(item, keys, None, 0);
        Ok(false)
    }

    /// Puts an event aside that failed.
    pub(crate) fn park(
        &mut self,
        items: &impl Items,
        item: usize,
        (cause, attempts): (String, u32),
        parked: &Parked,
        bound: Bound,
    ) -> Result<(), NoRoom> {
        let mut keys = items.keys(item);
        if keys.is_empty() {
            keys.push(items.stream(item));
        }
        self.room(&keys, parked, bound)?;
        self.put_aside(item, keys, Some(&cause), attempts);
        Ok(())
    }

    fn put_aside(&mut self, item: usize, keys: Vec<String>, cause: Option<&str>, attempts: u32) {
        for key in keys {
            self.added.insert(key.clone());
            self.letters.push(PlannedLetter { item, key, cause: cause.map(str::to_owned), attempts });
        }
    }

    fn room(&self, keys: &[String], parked: &Parked, bound: Bound) -> Result<(), NoRoom> {
        let fresh = |key: &&String| !parked.keys.contains(*key) && !self.added.contains(*key);
        let new_here = self.added.iter().filter(|key| !parked.keys.contains(*key)).count();
        let key_count = parked.keys.len() + new_here + keys.iter().filter(fresh).count();
        let letter_count = parked.letters + self.letters.len() + keys.len();
        if key_count > bound.keys || letter_count > bound.letters { Err(NoRoom) } else { Ok(()) }
    }

    /// Ends the batch before an event that was admitted.
    pub(crate) fn cut(&mut self, item: usize) {
        self.range.end = item;
        self.handled.retain(|handled| *handled < item);
        self.letters.retain(|letter| letter.item < item);
        self.added = self.letters.iter().map(|letter| letter.key.clone()).collect();
        self.switch = false;
    }

    /// What is parked once the batch is stored.
    pub(crate) fn settle_into(self, parked: &mut Parked) {
        parked.letters += self.letters.len();
        parked.keys.extend(self.added);
    }
}
