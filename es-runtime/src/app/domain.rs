//! Domains: constant tables of what belongs together, and the proof that a command is inside.

use std::future::Future;

use crate::aggregate::AggregateDescriptor;
use crate::app::AppBuilder;
use crate::app::dispatch::{DispatchContext, Outcome};
use crate::app::query_route::QueryRoutes;
use crate::app::route::Routes;
use crate::command::{Command, CommandDescriptor};
use crate::event::{AnyEvent, DecodeError, Recorded};
use crate::handler::Handles;
use crate::projection::{ProjectionDescriptor, Projections};
use crate::query::QueryDescriptor;
use crate::store::Store;

/// A list of what belongs together. Implemented by [`domain!`](crate::domain).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain",
    label = "not a domain",
    note = "declare it with `domain! {{ pub {Self} = \"…\"; … }}`"
)]
pub trait Domain: Sized + 'static {
    /// What the domain lists, as data.
    const TABLE: &'static DomainTable;
    /// The generated enum of the domain's events.
    type Event: Send + Sync + 'static;
    /// The generated enum of the domain's commands.
    type Command: CommandOf<Self>;

    /// Decodes a recorded event of one of the domain's aggregates.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the event is of no aggregate of the domain, or does not decode; with its place in the log.
    fn decode(event: &Recorded<AnyEvent>) -> Result<Recorded<Self::Event>, DecodeError>;

    /// Gives what the domain lists, as data.
    #[must_use]
    fn describe() -> &'static DomainTable {
        Self::TABLE
    }

    /// Renders the domain as a diagram.
    #[must_use]
    fn map() -> crate::app::DomainMap {
        crate::app::DomainMap::of(Self::TABLE)
    }
}

/// A domain whose parts all run on store `S`. Implemented by [`domain!`](crate::domain).
pub trait DomainOn<S: Store>: Domain {
    /// Adds the domain's commands to the routes of an application.
    fn routes(routes: &mut Routes<S>);
    /// Adds the domain's queries to the routes of an application.
    fn queries(routes: &mut QueryRoutes<S>) {
        let _ = routes;
    }
    /// Adds the domain's projections to those of an application.
    fn projections(projections: &mut Projections) {
        let _ = projections;
    }
}

/// A store that domain `D` runs on: [`DomainOn`], seen from the store. The store stands before the trait, so that it is taken from
/// the argument of [`App::builder`](crate::app::App::builder), and a part that does not run on it is told.
#[diagnostic::on_unimplemented(
    message = "domain `{D}` does not run on `{Self}`",
    label = "not a store of `{D}`",
    note = "a projection or query that takes a connection runs on its store only"
)]
pub trait Runs<D>: Sized {
    #[doc(hidden)]
    fn begin(self) -> AppBuilder<D, Self>;
}
impl<S: Store, D: DomainOn<S>> Runs<D> for S {
    fn begin(self) -> AppBuilder<D, S> {
        AppBuilder::new(self)
    }
}

/// What a domain lists.
#[derive(Clone, Copy, Debug)]
pub struct DomainTable {
    /// The domain's name.
    pub name: &'static str,
    /// Its aggregates.
    pub aggregates: &'static [AggregateDescriptor],
    /// Its commands.
    pub commands: &'static [CommandDescriptor],
    /// Its queries.
    pub queries: &'static [QueryDescriptor],
    /// Its projections.
    pub projections: &'static [&'static ProjectionDescriptor],
    /// The domains it is made of.
    pub domains: &'static [&'static DomainTable],
}

impl DomainTable {
    /// Counts the functions of the projections, here and inside: those in the append's transaction, and all of them. Each
    /// synchronous one is paid for by every command whose event it takes.
    #[must_use]
    pub fn synchronous_share(&'static self) -> (usize, usize) {
        let (mut synchronous, mut all) = (0, 0);
        self.walk(&mut |domain| {
            for handler in domain.projections.iter().flat_map(|projection| projection.handlers) {
                all += 1;
                synchronous += usize::from(handler.mode.is_sync());
            }
        });
        (synchronous, all)
    }

    /// Visits this domain and those it is made of, outermost first.
    pub fn walk(&'static self, visit: &mut dyn FnMut(&'static Self)) {
        visit(self);
        for domain in self.domains {
            domain.walk(visit);
        }
    }
}

/// Says which domain a command is listed in. Implemented by [`domain!`](crate::domain).
#[diagnostic::on_unimplemented(
    message = "command `{Self}` is in no domain",
    label = "not listed in a `domain!`",
    note = "add `{Self}` to `commands: [..]` of its crate's `domain!`"
)]
pub trait InDomain {
    /// The domain.
    type Domain: Domain;
}

/// Says that domain `Self` is `D` or is made of it, along `Path`. Implemented by [`domain!`](crate::domain).
#[diagnostic::on_unimplemented(
    message = "domain `{D}` is not part of `{Self}`",
    label = "outside of `{Self}`",
    note = "add `{D}` to `domains: [..]` of `{Self}`, or dispatch to an application that contains it"
)]
pub trait Has<D, Path> {}

/// The path from a domain to itself.
#[derive(Debug)]
pub enum Here {}

/// The path through the `I`th of a domain's `domains`.
#[derive(Debug)]
pub enum Part<const I: usize, Path> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<Path>),
}

/// Can be dispatched to an application of domain `D`: a listed command, or a domain's generated command enum.
///
/// `Path` is inferred. Generic code over one domain says `C: CommandOf<Bank>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command of application `{D}`",
    label = "cannot be dispatched here",
    note = "list the command in `domain!`, and its domain in the application's `domains: [..]`"
)]
pub trait CommandOf<D, Path = Here>: Send + 'static {
    /// What the handler gives its caller.
    type Output: Send + 'static;
    /// The domain's own error.
    type Error: std::error::Error + Send + Sync + 'static;

    #[doc(hidden)]
    fn run<S: Store>(
        self,
        context: DispatchContext<S>,
    ) -> impl Future<Output = Outcome<Self::Output, Self::Error>> + Send + 'static;
}

#[diagnostic::do_not_recommend]
impl<C, D, Path> CommandOf<D, Path> for C
where
    C: Command + InDomain,
    C::Aggregate: Handles<C>,
    D: Has<C::Domain, Path> + 'static,
    Path: 'static,
{
    type Output = <C::Aggregate as Handles<C>>::Output;
    type Error = <C::Aggregate as Handles<C>>::Error;

    fn run<S: Store>(
        self,
        context: DispatchContext<S>,
    ) -> impl Future<Output = Outcome<Self::Output, Self::Error>> + Send + 'static {
        crate::app::dispatch::run(self, context)
    }
}
