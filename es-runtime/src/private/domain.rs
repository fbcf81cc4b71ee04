//! Domains: decoding, and names that are unique.

use crate::aggregate::{Aggregate, AggregateDescriptor};
use crate::app::query_route::QueryRoutes;
use crate::app::route::Routes;
use crate::app::{Domain, DomainOn, DomainTable};
use crate::event::{AnyEvent, DecodeError, Recorded};
use crate::projection::{ProjectionOn, Projections};
use crate::query::AnswersOn;
use crate::store::Store;

use super::event::unknown_event;
use super::text::{same_text, stop};

/// Describes an aggregate of a domain.
#[must_use]
pub const fn aggregate(parts: AggregateDescriptor, type_name: &'static str) -> AggregateDescriptor {
    AggregateDescriptor { type_name, ..parts }
}

/// Decodes a recorded event of aggregate `A`; `None` where it is of another aggregate.
pub fn decode_of<A: Aggregate, E>(
    event: &Recorded<AnyEvent>,
    wrap: fn(A::Event) -> E,
) -> Option<Result<Recorded<E>, DecodeError>> {
    (event.stream().category() == A::NAME).then(|| event.decode_as::<A>().map(|recorded| recorded.map(wrap)))
}

/// Decodes a recorded event of a part; `None` where it is of no aggregate of the part.
pub fn decode_part<D: crate::app::Domain, E>(
    event: &Recorded<AnyEvent>,
    wrap: fn(D::Event) -> E,
) -> Option<Result<Recorded<E>, DecodeError>> {
    let mut inside = false;
    D::TABLE.walk(&mut |domain| inside |= domain.aggregates.iter().any(|a| a.name == event.stream().category()));
    inside.then(|| D::decode(event).map(|recorded| recorded.map(wrap)))
}

/// The error of an event that belongs to no aggregate of a domain.
#[cold]
pub fn unknown_aggregate(event: &Recorded<AnyEvent>) -> DecodeError {
    event.place(unknown_event(&event.event().name))
}

/// A query in a domain's list that runs on store `S`. Without supertraits: a bound on a type that is no query is not false at once,
/// so that this is told at its own place.
#[diagnostic::on_unimplemented(
    message = "query `{Self}` does not run on `{S}`",
    label = "bound to another store",
    note = "its handler takes a connection of its store; keep it in an outer domain, and give the application that store"
)]
pub trait QueryIn<S: Store> {
    fn route(routes: &mut QueryRoutes<S>);
}
#[diagnostic::do_not_recommend]
impl<Q: AnswersOn<S, Output: serde::Serialize>, S: Store> QueryIn<S> for Q {
    fn route(routes: &mut QueryRoutes<S>) {
        routes.query::<Q>();
    }
}

/// A projection in a domain's list that runs on store `S`.
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` does not run on `{S}`",
    label = "bound to another store",
    note = "it takes a connection of its store; keep it in an outer domain, and give the application that store"
)]
pub trait ProjectionIn<S: Store> {
    fn register(projections: &mut Projections);
}
#[diagnostic::do_not_recommend]
impl<P: ProjectionOn<S>, S: Store> ProjectionIn<S> for P {
    fn register(projections: &mut Projections) {
        <P as ProjectionOn<S>>::register(projections);
    }
}

/// A domain in a domain's list that runs on store `S`.
pub trait PartIn<S: Store> {
    fn routes(routes: &mut Routes<S>);
    fn queries(routes: &mut QueryRoutes<S>);
    fn projections(projections: &mut Projections);
}
impl<D: DomainOn<S>, S: Store> PartIn<S> for D {
    fn routes(routes: &mut Routes<S>) {
        routes.part::<D>();
    }
    fn queries(routes: &mut QueryRoutes<S>) {
        D::queries(routes);
    }
    fn projections(projections: &mut Projections) {
        D::projections(projections);
    }
}

/// What the marker constants are where a listed type has none: other errors speak then.
pub trait NoMarker {
    const AGGREGATE_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
    const COMMAND_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
    const QUERY_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
    const PROJECTION_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
}
impl<T: ?Sized> NoMarker for T {}

/// Refuses a command whose name an earlier command of the domain has.
#[track_caller]
pub const fn unique_command<D: Domain>(index: usize) {
    let command = &D::TABLE.commands[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &D::TABLE.commands[earlier];
        if same_text(other.name, command.name) {
            stop([
                "command name `",
                command.name,
                "` is used by both `",
                other.type_name,
                "` and `",
                command.type_name,
                "`",
            ]);
        }
        earlier += 1;
    }
}

/// Refuses a query whose name an earlier query of the domain has.
#[track_caller]
pub const fn unique_query<D: Domain>(index: usize) {
    let query = &D::TABLE.queries[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &D::TABLE.queries[earlier];
        if same_text(other.name, query.name) {
            let (one, two) = (other.type_name, query.type_name);
            stop(["query name `", query.name, "` is used by both `", one, "` and `", two, "`"]);
        }
        earlier += 1;
    }
}

/// Refuses a projection whose name or table an earlier projection of the domain has.
#[track_caller]
pub const fn unique_projection<D: Domain>(index: usize) {
    let projection = D::TABLE.projections[index];
    let mut earlier = 0;
    while earlier < index {
        let other = D::TABLE.projections[earlier];
        let (one, two) = (other.type_name, projection.type_name);
        if same_text(other.name, projection.name) {
            stop(["projection name `", projection.name, "` is used by both `", one, "` and `", two, "`"]);
        }
        if let (Some(table), Some(taken)) = (projection.table, other.table)
            && same_text(table.name, taken.name)
        {
            stop(["table name `", table.name, "` is used by both `", one, "` and `", two, "`"]);
        }
        earlier += 1;
    }
}

/// Refuses an aggregate whose name an earlier aggregate of the domain has.
#[track_caller]
pub const fn unique_aggregate<D: Domain>(index: usize) {
    let aggregate = &D::TABLE.aggregates[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &D::TABLE.aggregates[earlier];
        if same_text(other.name, aggregate.name) {
            stop([
                "aggregate name `",
                aggregate.name,
                "` is used by both `",
                other.type_name,
                "` and `",
                aggregate.type_name,
                "`",
            ]);
        }
        earlier += 1;
    }
}

/// Refuses a part that has something of the domain itself or of an earlier part.
#[track_caller]
pub const fn unique_part<D: Domain>(index: usize) {
    let part = D::TABLE.domains[index];
    if same_text(part.name, D::TABLE.name) {
        stop(["domain name `", part.name, "` is used by both the part", "", " and the whole", "", ""]);
    }
    clash_with(D::TABLE, part);
    let mut earlier = 0;
    while earlier < index {
        clash(D::TABLE.domains[earlier], part);
        earlier += 1;
    }
}

/// Compares everything inside `one` with everything inside `other`.
#[track_caller]
const fn clash(one: &DomainTable, other: &DomainTable) {
    clash_with(one, other);
    let mut index = 0;
    while index < one.domains.len() {
        clash(one.domains[index], other);
        index += 1;
    }
}

#[track_caller]
const fn clash_with(one: &DomainTable, other: &DomainTable) {
    if same_text(one.name, other.name) {
        stop(["domain `", other.name, "` is listed twice", "", "", "", ""]);
    }
    clash_of_lists(one, other);
    let mut index = 0;
    while index < other.domains.len() {
        clash_with(one, other.domains[index]);
        index += 1;
    }
}

/// Compares the lists of two domains themselves.
#[track_caller]
const fn clash_of_lists(one: &DomainTable, other: &DomainTable) {
    let mut index = 0;
    while index < one.aggregates.len() * other.aggregates.len() {
        let a = one.aggregates[index / other.aggregates.len()].name;
        if same_text(a, other.aggregates[index % other.aggregates.len()].name) {
            stop(["aggregate name `", a, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
    clash_of_reads(one, other);
    index = 0;
    while index < one.commands.len() * other.commands.len() {
        let a = one.commands[index / other.commands.len()].name;
        if same_text(a, other.commands[index % other.commands.len()].name) {
            stop(["command name `", a, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
}

/// Compares what two domains themselves read.
#[track_caller]
const fn clash_of_reads(one: &DomainTable, other: &DomainTable) {
    let mut index = 0;
    while index < one.queries.len() * other.queries.len() {
        let a = one.queries[index / other.queries.len()].name;
        if same_text(a, other.queries[index % other.queries.len()].name) {
            stop(["query name `", a, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
    index = 0;
    while index < one.projections.len() * other.projections.len() {
        let a = one.projections[index / other.projections.len()];
        let b = other.projections[index % other.projections.len()];
        if same_text(a.name, b.name) {
            stop([
                "projection name `",
                a.name,
                "` is used in both domain `",
                one.name,
                "` and domain `",
                other.name,
                "`",
            ]);
        }
        if let (Some(a), Some(b)) = (a.table, b.table)
            && same_text(a.name, b.name)
        {
            stop(["table name `", a.name, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
}
