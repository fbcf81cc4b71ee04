//! The behaviour of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic, reason = "tests are assertions")]

mod concurrency;
mod contract;
mod crash;
mod domain;
mod faulty;
mod flow;
mod properties;
mod read;
