//! The behaviour of the whole.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are assertions")]

mod concurrency;
mod contract;
mod domain;
mod faulty;
mod flow;
mod properties;
