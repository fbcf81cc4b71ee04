//! The read side: projections, read models, queries.

pub(crate) mod child;
mod connected;
mod consistency;
mod crash;
pub(crate) mod domain;
mod mistakes;
mod observe;
mod postgres;
mod processes;
mod properties;
mod queries;
mod rebuild;
mod refused;
mod renames;
mod shared_rows;
mod subscriptions;
mod sync;
pub(crate) mod truth;
