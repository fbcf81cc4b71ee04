//! Queries: questions to read models, and the functions that answer them.
//!
//! A query is declared with [`#[query]`](macro@crate::query), its function with
//! [`#[query_handler]`](macro@crate::query_handler). A handler is handed tables and dependencies; it cannot reach a command bus
//! or the log, so it has no side effects on the domain.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::domain::InDomain;
use crate::handler::{Dep, Dependencies, Dependency, DependencyDescriptor, MissingDependency};
use crate::read_model::{ReadModel, Rows, Table};
use crate::store::{Store, StoreError};

/// A question. Implemented by [`#[query]`](macro@crate::query).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a query",
    label = "not a query",
    note = "put `#[query(output = …)]` on the struct `{Self}`"
)]
pub trait Query: DeserializeOwned + Serialize + Send + 'static {
    /// The query's name.
    const NAME: &'static str;
    /// The answer.
    type Output: Send + 'static;
}

/// A query with a handler that runs on store `S`. Implemented by [`#[query_handler]`](macro@crate::query_handler).
#[diagnostic::on_unimplemented(
    message = "query `{Self}` has no handler on `{S}`",
    label = "nobody answers this",
    note = "add `#[query_handler] async fn …(query: {Self}, …) -> Result<…, …>`; one that takes a connection runs on its store only"
)]
pub trait AnswersOn<S: Store>: Query {
    /// What the handler fails with.
    type Error: std::error::Error + Send + Sync + 'static;
    /// What the handler is, as data.
    const HANDLER: QueryHandlerDescriptor;

    /// Answers.
    fn answer(
        self,
        scope: &QueryScope<S>,
    ) -> impl Future<Output = Result<Self::Output, QueryRejection<Self::Error>>> + Send;
}

/// Why a handler gave no answer.
#[derive(Debug)]
pub enum QueryRejection<E> {
    /// Its own error.
    Domain(E),
    /// A dependency is missing.
    MissingDependency(MissingDependency),
    /// A connection could not be lent.
    Store(StoreError),
}

/// One query of a domain's list.
#[derive(Clone, Copy, Debug)]
pub struct QueryDescriptor {
    /// The query's name.
    pub name: &'static str,
    /// The Rust type's name.
    pub type_name: &'static str,
}

impl QueryDescriptor {
    /// Describes query `Q`.
    #[must_use]
    pub const fn of<Q: Query>(type_name: &'static str) -> Self {
        Self { name: Q::NAME, type_name }
    }
}

/// Stands in [`QueryHandlerDescriptor::reads`] for a connection, which may read any table.
pub const EVERY_TABLE: &str = "*";

/// What a query handler takes.
#[derive(Clone, Copy, Debug)]
pub struct QueryHandlerDescriptor {
    /// The function's name.
    pub name: &'static str,
    /// The tables it reads.
    pub reads: &'static [Option<&'static str>],
    /// What it takes from the application.
    pub dependencies: &'static [Option<DependencyDescriptor>],
}

/// What one query may hand to its handler.
#[derive(Clone)]
pub struct QueryScope<S> {
    pub(crate) store: S,
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) tenant: Arc<str>,
    pub(crate) dependencies: Arc<Dependencies>,
}

impl<S> QueryScope<S> {
    /// Gives the store: for [`QueryArg`]s of a store of your own.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }
}

impl<S> std::fmt::Debug for QueryScope<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryScope").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// A further parameter of a query handler: first it is held, then it is lent.
#[diagnostic::on_unimplemented(
    message = "a query handler cannot take `{Self}`",
    label = "not available to a query handler",
    note = "a query handler may take `&Table<R>`, `Dep<T>` and a read-only connection of its store",
    note = "a query has no side effects: it gets no command bus and no event store"
)]
pub trait QueryArg<'a, S: Store>: Sized {
    /// What stays with the caller while the handler runs.
    type Held: Send;
    /// The table it reads.
    const READS: Option<&'static str> = None;
    /// What it needs from the application.
    const DEPENDENCY: Option<DependencyDescriptor> = None;

    /// Gets hold of it.
    fn hold(scope: &QueryScope<S>) -> impl Future<Output = Result<Self::Held, QueryFault>> + Send;

    /// Lends it.
    ///
    /// # Errors
    ///
    /// [`QueryFault`] where it is gone meanwhile.
    fn lend(held: &'a mut Self::Held) -> Result<Self, QueryFault>;
}

/// Why a parameter could not be had.
#[derive(Debug)]
pub enum QueryFault {
    /// A dependency is missing.
    MissingDependency(MissingDependency),
    /// A connection could not be lent.
    Store(StoreError),
}

impl<E> From<QueryFault> for QueryRejection<E> {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::MissingDependency(missing) => Self::MissingDependency(missing),
            QueryFault::Store(error) => Self::Store(error),
        }
    }
}

impl<'a, S: Store, R: ReadModel> QueryArg<'a, S> for &'a Table<R> {
    type Held = Table<R>;
    const READS: Option<&'static str> = Some(R::TABLE.name);

    fn hold(scope: &QueryScope<S>) -> impl Future<Output = Result<Table<R>, QueryFault>> + Send {
        let table = Table { rows: Arc::clone(&scope.rows), tenant: Arc::clone(&scope.tenant), row: PhantomData };
        std::future::ready(Ok(table))
    }

    fn lend(held: &'a mut Table<R>) -> Result<Self, QueryFault> {
        Ok(held)
    }
}

impl<'a, S: Store, T: Dependency + ?Sized> QueryArg<'a, S> for Dep<T> {
    type Held = Self;
    const DEPENDENCY: Option<DependencyDescriptor> = Some(DependencyDescriptor::of::<T>());

    fn hold(scope: &QueryScope<S>) -> impl Future<Output = Result<Self, QueryFault>> + Send {
        std::future::ready(scope.dependencies.take::<T>().map_err(QueryFault::MissingDependency))
    }

    fn lend(held: &'a mut Self) -> Result<Self, QueryFault> {
        Ok(held.clone())
    }
}

/// Can be asked of an application of domain `D`. `Path` is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a query of application `{D}`",
    label = "cannot be asked here",
    note = "list the query in `domain!`, and its domain in the application's `domains: [..]`"
)]
pub trait QueryOf<D, Path>: Query {}

#[diagnostic::do_not_recommend]
impl<Q, D, Path> QueryOf<D, Path> for Q
where
    Q: Query + InDomain,
    D: crate::app::domain::Has<Q::Domain, Path>,
{
}
