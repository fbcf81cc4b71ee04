//! The one engine behind everything that follows the log.

pub mod assign;
mod health;
mod machine;
#[cfg(test)]
mod machine_tests;
mod plan;
mod reader;

pub use health::{Health, StopReason, SubscriptionHealth, SubscriptionState};
pub use reader::LogGap;
