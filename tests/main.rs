//! The behaviour of the whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic, reason = "tests are assertions")]

mod concurrency;
mod contract;
mod counting;
mod crash;
mod domain;
mod faulty;
mod flow;
mod place;
mod postgres;
mod properties;
mod random;
mod read;
mod stored;

/// Runs a future where there is no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
