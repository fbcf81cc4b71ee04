//! The commands of an application, by name.
use crate::aggregate::Aggregate;
use crate::app::domain::{Domain, DomainOn};
use crate::command::Command;
use crate::handler::Handles;
use crate::store::Store;

/// The commands of an application, by name.
#[derive(Debug)]
pub struct Routes<S>(std::marker::PhantomData<S>);

impl<S: Store> Routes<S> {
    /// Adds a command.
    pub fn command<C>(&mut self)
    where
        C: Command,
        C::Aggregate: Handles<C>,
    {
        let _ = <C::Aggregate as Aggregate>::NAME;
    }

    /// Adds the commands of a part.
    pub fn part<D: Domain + DomainOn<S>>(&mut self) {
        D::routes(self);
    }
}
