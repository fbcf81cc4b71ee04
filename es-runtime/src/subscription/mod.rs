//! Subscriptions: what follows the log.

pub mod assign;
