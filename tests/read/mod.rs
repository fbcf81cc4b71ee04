//! The read side: projections, read models, queries.

mod child;
mod connected;
mod consistency;
mod crash;
mod domain;
mod mistakes;
mod observe;
mod postgres;
mod processes;
mod properties;
mod queries;
mod rebuild;
mod subscriptions;
mod sync;
mod truth;
