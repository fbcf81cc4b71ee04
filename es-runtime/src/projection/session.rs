//! Folded projections as stores and subscriptions see them: neutral rows in, neutral changes out.

use super::{ProjectionDescriptor, ProjectionFailure};
use crate::event::{AnyEvent, Recorded};
use crate::read_model::{ColumnError, RowChange, RowKey, Value};

/// A folded projection without its row's type.
pub trait Projector: Send + Sync + 'static {
    /// Gives what the projection is.
    fn descriptor(&self) -> &'static ProjectionDescriptor;

    /// Begins to fold events in memory.
    fn begin(&self) -> Box<dyn FoldSession>;

    /// Gives the rows that an event changes, each once: its sequence keys. Empty where no function takes the event, or where its
    /// keys cannot be found out (it does not decode).
    fn sequence_keys(&self, event: &Recorded<AnyEvent>) -> Vec<RowKey>;
}

/// Folds events over rows in memory.
///
/// For each run of events: [`missing`](Self::missing) says which rows to load, [`supply`](Self::supply) takes them,
/// [`apply`](Self::apply) folds. At the end [`changes`](Self::changes) gives what is to be written.
pub trait FoldSession: Send {
    /// Gives the keys of the rows that these events touch and that were not supplied yet, each once. Events that do not decode
    /// are passed over here; `apply` reports them.
    fn missing(&mut self, events: &[Recorded<AnyEvent>]) -> Vec<RowKey>;

    /// Takes stored rows: the values of the table's columns, or `None` where there is no such row.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where a stored value is not a field's.
    fn supply(&mut self, key: RowKey, row: Option<Vec<Value>>) -> Result<(), ColumnError>;

    /// Folds one event with each function that takes it, in the order of the descriptor. An event that no function
    /// takes changes nothing.
    ///
    /// # Errors
    ///
    /// [`ProjectionFailure`]; then nothing of this event is left in the session.
    fn apply(&mut self, event: &Recorded<AnyEvent>) -> Result<(), ProjectionFailure>;

    /// Marks a point to which [`undo`](Self::undo) goes back. A new mark takes the place of the one before.
    fn mark(&mut self);

    /// Takes back everything that was applied since the mark. What was supplied stays.
    fn undo(&mut self);

    /// Gives the rows that changed, each once, and begins anew with what it knows.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where a value of a row cannot be stored; nothing is given then.
    fn changes(&mut self) -> Result<Vec<RowChange>, ColumnError>;
}
