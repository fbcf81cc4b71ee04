//! From a command to its receipt, on every store.

mod by_name;
pub(crate) mod claims;
mod describe;
mod dispatch;
mod evolution;
mod failing;
mod idempotency;
mod kit;
mod layers;
mod log;
mod observe;
mod options;
mod orchestrate;
mod reading;
mod resuming;
mod time;
