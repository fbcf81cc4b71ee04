//! For tests: of a domain, of an application, of a store.
//!
//! - [`given`] tests decisions: given these events, when this command comes, then these events follow.
//! - [`projected`] tests projections: given these events, then these rows are there.
//! - [`TestApp`] is an application in memory with a clock that is moved by hand.
//! - [`check_events_lock`] freezes the stored form of a domain's events.
//! - [`contract`] is the suite that every store passes.
#![allow(clippy::panic, reason = "a failed assertion panics: that is what test kits are for")]

mod app;
pub mod contract;
mod diff;
pub mod fail_points;
mod lock;
mod projected;
mod scenario;

pub use app::TestApp;
pub use lock::{LockError, check_events_lock, update_events_lock};
pub use projected::{Projected, projected};
pub use scenario::{Given, Then, When, given};
