//! From a command to its receipt, on every store.

mod by_name;
mod dispatch;
mod failing;
mod idempotency;
mod layers;
mod log;
mod options;
mod reading;
