//! What generated code calls. Not part of the public interface: it may change in any release.
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::type_complexity,
    clippy::needless_pass_by_value,
    reason = "for generated code only"
)]

mod aggregate;
mod command;
mod domain;
mod event;
mod handler;
mod probe;
mod projection;
mod query;
mod read_model;
mod text;
mod value;

use std::any::Any;

pub use {garde, serde, serde_json};

pub use std::convert::{From, Infallible};
pub use std::future::Future;
pub use std::marker::Send;
pub use std::option::Option;
pub use std::result::Result;
pub use std::vec::Vec;

pub use crate::aggregate::{
    Aggregate, AggregateDescriptor, AggregateEvent, Apply, CannotApply, EventDescriptor, EventOf, IntoEvents, Root,
    RootArg, SnapshotPolicy,
};
pub use crate::app::dispatch::{DispatchContext, Outcome, run_enum};
pub use crate::app::domain::{Has, Here, InDomain, Part};
pub use crate::app::query_route::QueryRoutes;
pub use crate::app::route::Routes;
pub use crate::app::{CommandOf, Domain, DomainOn, DomainTable};
pub use crate::command::{Command, CommandDescriptor, ValidationErrors};
pub use crate::encoding::{Fidelity, HasFidelity};
pub use crate::error::AnyDomainError;
pub use crate::event::{
    AnyEvent, Claim, ClaimRule, DecodeError, DomainEvent, HasShape, Recorded, Shape, UpcastError, UpcastFrom, decode,
};
pub use crate::handler::{
    Context, Decides, DependencyDescriptor, Handled, HandlerArg, HandlerDescriptor, HandlerShape, Handles, QueryingArg,
    Rejection, Scope,
};
pub use crate::projection::{
    BoxFuture, Connected, ConnectedHandler, External, ExternalHandler, FailurePolicy, Fold, FoldHandler, HandlerMode,
    HandlerOptions, Projection, ProjectionDescriptor, ProjectionFailure, ProjectionHandler, ProjectionOn,
    ProjectionStyle, Projections,
};
pub use crate::query::{
    AnswersOn, Query, QueryArg, QueryDescriptor, QueryHandlerDescriptor, QueryRejection, QueryScope,
};
pub use crate::read_model::{
    ColumnCodec, ColumnDescriptor, ColumnError, ColumnOf, Indexed, NotIndexed, ReadModel, TableDescriptor, Value,
};
pub use crate::store::{Store, StoreConnection};

pub use aggregate::*;
pub use command::*;
pub use domain::*;
pub use event::*;
pub use handler::*;
pub use probe::*;
pub use projection::*;
pub use query::*;
pub use read_model::*;
pub use text::same_text;
pub use value::*;

/// Gives the text of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Stands where a declaration is broken, so that it gives no other errors than its own. Never runs: it does not compile.
#[cold]
#[allow(clippy::panic, reason = "what calls this does not compile")]
pub fn broken<T>() -> T {
    panic!("a broken declaration")
}
