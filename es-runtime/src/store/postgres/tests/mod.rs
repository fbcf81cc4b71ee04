//! The read side on a real server, where it is particular. What every store does stands in the contract.
#![cfg(feature = "testing")]

mod batches;
mod connected;
mod lend;
mod place;
mod tables;
