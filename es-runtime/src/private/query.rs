//! Queries and their handlers.

use std::future::Future;

use serde::Serialize;

use crate::handler::DependencyDescriptor;
use crate::query::{AnswersOn, Query, QueryArg, QueryFault, QueryRejection, QueryScope};
use crate::store::{MemoryStore, Store};

/// What a query may answer with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the answer of a query",
    label = "not an answer",
    note = "an answer needs `serde::Serialize`, `Send` and `'static`; a read model has them"
)]
pub trait QueryAnswer {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + Send + 'static> QueryAnswer for T {}

/// Asks that a query may answer with a type.
pub const fn require_answer<T: QueryAnswer>() {}

/// What a query handler may return.
#[diagnostic::on_unimplemented(
    message = "a query handler cannot return `{Self}`",
    label = "not a `Result`",
    note = "return `Result<Output, Error>`, with the `output` of its query"
)]
pub trait Answered {
    type Output;
    type Error;
    fn answered(self) -> Result<Self::Output, Self::Error>;
}
impl<O, E> Answered for Result<O, E> {
    type Output = O;
    type Error = E;
    fn answered(self) -> Self {
        self
    }
}

/// A query whose answer is `O`.
#[diagnostic::on_unimplemented(
    message = "query `{Self}` is not answered with `{O}`",
    label = "not the `output` of `{Self}`",
    note = "return `Result<Output, Error>` with the type in `#[query(output = …)]` of `{Self}`, or change that"
)]
pub trait AnsweredWith<O>: Query {
    fn answer(output: O) -> Self::Output;
}
#[diagnostic::do_not_recommend]
impl<Q: Query<Output = O>, O> AnsweredWith<O> for Q {
    fn answer(output: O) -> O {
        output
    }
}

/// Gives a handler's answer back as the runtime's.
///
/// # Errors
///
/// The handler's own error.
pub fn answered_query<Q: AnsweredWith<A::Output>, A: Answered>(
    answer: A,
) -> Result<Q::Output, QueryRejection<A::Error>> {
    answer.answered().map(Q::answer).map_err(QueryRejection::Domain)
}

/// A query whose handler takes a connection, and so runs on one store.
pub trait BoundQuery {}

/// Gets hold of a parameter.
///
/// # Errors
///
/// [`QueryFault`] where it cannot be had.
pub fn hold<'a, T: QueryArg<'a, S>, S: Store>(
    scope: &QueryScope<S>,
) -> impl Future<Output = Result<T::Held, QueryFault>> + Send {
    T::hold(scope)
}

/// Lends a parameter.
///
/// # Errors
///
/// [`QueryFault`] where it is gone meanwhile.
pub fn lend<'a, T: QueryArg<'a, S>, S: Store>(held: &'a mut T::Held) -> Result<T, QueryFault> {
    T::lend(held)
}

/// Asks about a parameter of a query handler.
pub struct Asks<T, S>(std::marker::PhantomData<(T, S)>);
impl<T: QueryArg<'static, S>, S: Store> Asks<T, S> {
    pub const READS: Option<&'static str> = T::READS;
    pub const DEPENDENCY: Option<DependencyDescriptor> = T::DEPENDENCY;
}

/// Asks about a query in a domain's list.
pub struct Asked<Q>(std::marker::PhantomData<Q>);
impl<Q: Query> Asked<Q> {
    pub const IS_A_QUERY: bool = true;
}
impl<Q: AnswersOn<MemoryStore>> Asked<Q> {
    pub const HAS_A_HANDLER: bool = true;
}
impl<Q: BoundQuery> Asked<Q> {
    pub const HAS_A_BOUND_HANDLER: bool = true;
}

/// The answers where a bound does not hold.
pub trait FallbackOfQuery {
    const READS: Option<&'static str> = None;
    const DEPENDENCY: Option<DependencyDescriptor> = None;
    const IS_A_QUERY: bool = false;
    const HAS_A_HANDLER: bool = false;
    const HAS_A_BOUND_HANDLER: bool = false;
}
impl<T, S> FallbackOfQuery for Asks<T, S> {}
impl<Q> FallbackOfQuery for Asked<Q> {}
