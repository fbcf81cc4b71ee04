//! The behaviour of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests are assertions")]

mod contract;
