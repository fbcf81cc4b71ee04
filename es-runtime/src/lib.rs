//! Event-sourced domains, declared in Rust.

extern crate self as es_runtime;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod aggregate;
pub mod app;
pub mod command;
pub mod error;
pub mod event;
pub mod handler;
pub mod prelude;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub(crate) use __private as private;

#[cfg(feature = "macros")]
pub use es_macros::{aggregate, apply, command, command_handler, domain, domain_event, upcast, value_object};
