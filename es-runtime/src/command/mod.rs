//! Commands: what a caller wants to happen to one aggregate.
//!
//! A command is declared with [`#[command]`](macro@crate::command); this module holds what the attribute generates against.

mod validation;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Aggregate;
use crate::handler::{HandlerDescriptor, Handles};

pub use validation::{FieldError, ValidationErrors};

/// Asks one aggregate to do something. Implemented by [`#[command]`](macro@crate::command).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "put `#[command(aggregate = …)]` on `{Self}`"
)]
pub trait Command: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The aggregate that the command is for.
    type Aggregate: Aggregate;
    /// The command's name.
    const NAME: &'static str;

    /// Gives the id of the aggregate: the field marked `#[id]`.
    fn id(&self) -> &<Self::Aggregate as Aggregate>::Id;

    /// Runs the command's `garde` rules; there are none without `#[command(validate)]`.
    ///
    /// # Errors
    ///
    /// All failures, with their field paths.
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

/// One command of a domain's list.
#[derive(Clone, Copy, Debug)]
pub struct CommandDescriptor {
    /// The command's name.
    pub name: &'static str,
    /// The Rust type's name.
    pub type_name: &'static str,
    /// The name of the aggregate it is for.
    pub aggregate: &'static str,
    /// Its handler.
    pub handler: HandlerDescriptor,
}

impl CommandDescriptor {
    /// Describes command `C`.
    #[must_use]
    pub const fn of<C: Command>(type_name: &'static str) -> Self
    where
        C::Aggregate: Handles<C>,
    {
        Self {
            name: C::NAME,
            type_name,
            aggregate: <C::Aggregate as Aggregate>::NAME,
            handler: <C::Aggregate as Handles<C>>::HANDLER,
        }
    }
}
