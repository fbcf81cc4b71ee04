//! Folding events over rows in memory.

use std::any::type_name;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{FoldSession, ProjectionDescriptor, ProjectionFailure, ProjectionHandler, Projector, record};
use crate::event::{AnyEvent, GlobalPosition, Recorded, Version};
use crate::private::panic_message;
use crate::read_model::{ColumnError, ReadModel, RowChange, RowKey, TableDescriptor, Value};

/// One event at one row: the row's key, and what is done to the row.
pub struct Step<R: ReadModel> {
    /// The row.
    pub key: R::Key,
    /// From the row before to the row after.
    pub fold: FoldFn<R>,
}

/// Turns the row before into the row after; `None` stands for no row.
pub type FoldFn<R> = Box<dyn FnOnce(Option<R>) -> Result<Option<R>, ProjectionFailure> + Send>;

/// A function of a folded projection: decodes an event and says what it does to which row.
pub type FoldHandler<R> = fn(&Recorded<AnyEvent>) -> Result<Step<R>, ProjectionFailure>;

/// A folded projection of rows `R`.
pub struct Fold<R: ReadModel> {
    descriptor: &'static ProjectionDescriptor,
    handlers: &'static [FoldHandler<R>],
}

impl<R: ReadModel> fmt::Debug for Fold<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fold<{}>({})", type_name::<R>(), self.descriptor.name)
    }
}

impl<R: ReadModel> Fold<R> {
    /// Puts a projection together: `handlers` stand in the order of the descriptor's.
    #[must_use]
    pub const fn new(descriptor: &'static ProjectionDescriptor, handlers: &'static [FoldHandler<R>]) -> Self {
        Self { descriptor, handlers }
    }
}

impl<R: ReadModel> Projector for Fold<R> {
    fn descriptor(&self) -> &'static ProjectionDescriptor {
        self.descriptor
    }

    fn begin(&self) -> Box<dyn FoldSession> {
        Box::new(Session::<R> {
            descriptor: self.descriptor,
            handlers: self.handlers,
            slots: FxHashMap::default(),
            touched: FxHashSet::default(),
            undo: None,
            prepared: Prepared::default(),
        })
    }

    fn sequence_keys(&self, event: &Recorded<AnyEvent>) -> Vec<RowKey> {
        let mut keys = Vec::new();
        for (place, handler) in self.descriptor.handlers_of(event.stream().category(), &event.event().name) {
            let Ok(step) = step(self.handlers, place, handler, event) else { return Vec::new() };
            let Ok(key) = R::row_key(event.tenant(), &step.key) else { return Vec::new() };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

/// A row in a session.
struct Slot<R> {
    row: Option<R>,
    /// Whether it was there when the session last gave its changes.
    stored: bool,
    /// The last event that touched it since then.
    touched: Option<(Version, GlobalPosition)>,
}

/// Steps that `missing` had to make, for `apply`: what was decoded once is not decoded again.
struct Prepared<R: ReadModel> {
    steps: std::collections::VecDeque<(GlobalPosition, usize, RowKey, Step<R>)>,
}

impl<R: ReadModel> Default for Prepared<R> {
    fn default() -> Self {
        Self { steps: std::collections::VecDeque::new() }
    }
}

struct Session<R: ReadModel> {
    descriptor: &'static ProjectionDescriptor,
    handlers: &'static [FoldHandler<R>],
    slots: FxHashMap<RowKey, Slot<R>>,
    /// Rows that may have changed since the session last gave its changes: of thousands that are known, a commit touches one.
    touched: FxHashSet<RowKey>,
    /// Rows as they were at the mark, once there is one.
    undo: Option<FxHashMap<RowKey, Slot<R>>>,
    prepared: Prepared<R>,
}

impl<R: ReadModel> FoldSession for Session<R> {
    fn missing(&mut self, events: &[Recorded<AnyEvent>]) -> Vec<RowKey> {
        self.prepared.steps.clear();
        let mut missing = FxHashSet::default();
        for event in events {
            for (place, handler) in self.descriptor.handlers_of(event.stream().category(), &event.event().name) {
                // What does not decode fails in `apply`.
                let Ok(step) = step(self.handlers, place, handler, event) else { continue };
                let Ok(key) = R::row_key(event.tenant(), &step.key) else { continue };
                if !self.slots.contains_key(&key) {
                    missing.insert(key.clone());
                }
                self.prepared.steps.push_back((event.position(), place, key, step));
            }
        }
        missing.into_iter().collect()
    }

    fn supply(&mut self, key: RowKey, row: Option<Vec<Value>>) -> Result<(), ColumnError> {
        let row = row.map(R::from_values).transpose()?;
        let stored = row.is_some();
        self.slots.entry(key).or_insert(Slot { row, stored, touched: None });
        Ok(())
    }

    fn apply(&mut self, event: &Recorded<AnyEvent>) -> Result<(), ProjectionFailure> {
        // Of one event several functions may change one row; all of them are undone if one fails.
        let mut done: Vec<(RowKey, Slot<R>)> = Vec::new();
        let mut handlers = self.descriptor.handlers_of(event.stream().category(), &event.event().name);
        let failed = handlers.find_map(|(place, handler)| self.one(place, handler, event, &mut done).err());
        if let Some(failure) = failed {
            for (key, slot) in done.into_iter().rev() {
                self.slots.insert(key, slot);
            }
            return Err(failure);
        }
        if let Some(undo) = &mut self.undo {
            for (key, slot) in done {
                undo.entry(key).or_insert(slot);
            }
        }
        Ok(())
    }

    fn mark(&mut self) {
        self.undo = Some(FxHashMap::default());
    }

    fn undo(&mut self) {
        if let Some(undo) = &mut self.undo {
            self.slots.extend(undo.drain());
        }
    }

    fn changes(&mut self) -> Result<Vec<RowChange>, ColumnError> {
        let mut changes = Vec::new();
        for key in &self.touched {
            let Some(slot) = self.slots.get(key) else { continue };
            let Some((version, position)) = slot.touched else { continue };
            if slot.row.is_none() && !slot.stored {
                continue;
            }
            let row = slot.row.as_ref().map(ReadModel::to_values).transpose()?;
            check_indexed(R::TABLE, key, row.as_deref().unwrap_or_default())?;
            changes.push(RowChange { key: key.clone(), row, version, position });
        }
        for key in self.touched.drain() {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.touched = None;
                slot.stored = slot.row.is_some();
            }
        }
        self.undo = None;
        Ok(changes)
    }
}

impl<R: ReadModel> Session<R> {
    /// Runs one function. Keeps the row as it was before in `done`.
    fn one(
        &mut self,
        place: usize,
        handler: &'static ProjectionHandler,
        event: &Recorded<AnyEvent>,
        done: &mut Vec<(RowKey, Slot<R>)>,
    ) -> Result<(), ProjectionFailure> {
        let (key, step) = self.step_of(place, handler, event)?;
        let Some(slot) = self.slots.get_mut(&key) else {
            return Err(ProjectionFailure::Failed {
                handler: handler.name,
                cause: format!(
                    "the row {key} was not loaded: its `key` must depend on the event's fields and stream alone"
                ),
            });
        };
        let before = Slot { row: slot.row.clone(), stored: slot.stored, touched: slot.touched };
        let row = slot.row.take();
        let started = Instant::now();
        let folded = catch_unwind(AssertUnwindSafe(|| (step.fold)(row))).unwrap_or_else(|panic| {
            Err(ProjectionFailure::Panicked { handler: handler.name, message: panic_message(&*panic) })
        });
        let folded = folded.and_then(|row| {
            let took = started.elapsed();
            record(self.descriptor, handler, took);
            if let Some(after) = handler.mode.timeout().filter(|timeout| took > *timeout) {
                return Err(ProjectionFailure::TimedOut { handler: handler.name, after });
            }
            self.same_key(&key, handler, event, row)
        });
        match folded {
            Ok(row) => {
                if let Some(slot) = self.slots.get_mut(&key) {
                    slot.row = row;
                    slot.touched = Some((event.version(), event.position()));
                }
                if !self.touched.contains(&key) {
                    self.touched.insert(key.clone());
                }
                done.push((key, before));
                Ok(())
            }
            Err(failure) => {
                self.slots.insert(key, before);
                Err(failure)
            }
        }
    }

    /// A row that was given another key would be stored beside the one it came from.
    fn same_key(
        &self,
        key: &RowKey,
        handler: &ProjectionHandler,
        event: &Recorded<AnyEvent>,
        row: Option<R>,
    ) -> Result<Option<R>, ProjectionFailure> {
        let Some(row) = row else { return Ok(None) };
        let found = R::row_key(event.tenant(), &row.key())?;
        if found == *key {
            return Ok(Some(row));
        }
        let table = self.descriptor.table.map_or("", |table| table.name);
        let (expected, found) = (key.to_string(), found.to_string());
        Err(ProjectionFailure::KeyChanged { handler: handler.name, table, expected, found })
    }

    fn step_of(
        &mut self,
        place: usize,
        handler: &ProjectionHandler,
        event: &Recorded<AnyEvent>,
    ) -> Result<(RowKey, Step<R>), ProjectionFailure> {
        while let Some((position, prepared, _, _)) = self.prepared.steps.front() {
            if (*position, *prepared) == (event.position(), place) {
                if let Some((_, _, key, step)) = self.prepared.steps.pop_front() {
                    return Ok((key, step));
                }
            } else if *position < event.position() {
                // Of an event that was left out.
                self.prepared.steps.pop_front();
            } else {
                break;
            }
        }
        let step = step(self.handlers, place, handler, event)?;
        let key = R::row_key(event.tenant(), &step.key)?;
        Ok((key, step))
    }
}

/// An index holds the key beside the column's value.
fn check_indexed(table: &TableDescriptor, key: &RowKey, row: &[Value]) -> Result<(), ColumnError> {
    for (column, value) in table.columns.iter().zip(row).filter(|(column, _)| column.index && !column.key) {
        let (Value::Text(text) | Value::Decimal(text) | Value::Json(text)) = value else { continue };
        let (bytes, longest) = (key.as_str().len() + text.len(), RowKey::LONGEST);
        if bytes > longest {
            let reason = format_args!("it has an index, and {bytes} bytes with the row's key, more than {longest}");
            return Err(ColumnError::new(reason).of(column.name));
        }
    }
    Ok(())
}

/// Decodes an event for a function. A `key` of the user's may panic.
fn step<R: ReadModel>(
    handlers: &'static [FoldHandler<R>],
    place: usize,
    handler: &ProjectionHandler,
    event: &Recorded<AnyEvent>,
) -> Result<Step<R>, ProjectionFailure> {
    let Some(decode) = handlers.get(place) else {
        return Err(ProjectionFailure::Failed { handler: handler.name, cause: "it is in no table".to_owned() });
    };
    catch_unwind(AssertUnwindSafe(|| decode(event))).unwrap_or_else(|panic| {
        Err(ProjectionFailure::Panicked { handler: handler.name, message: panic_message(&*panic) })
    })
}
