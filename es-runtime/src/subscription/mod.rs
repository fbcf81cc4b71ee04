//! The one engine behind everything that follows the log.

pub mod assign;
mod health;
mod machine;
#[cfg(test)]
mod machine_tests;
mod options;
mod plan;
mod reader;
mod rebuild;
mod shared;
mod subscriber;
mod tail;
mod work;
mod worker;

pub use health::{Health, StopReason, SubscriptionHealth, SubscriptionState};
pub use options::SubscriptionOptions;
pub use reader::LogGap;
pub use rebuild::Progress;
