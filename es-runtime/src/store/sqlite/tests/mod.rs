//! The read side over a real file. The read models are written by hand.

mod batches;
mod certainty;
mod connected;
mod fixture;
mod leases;
mod registry;
mod rows;
mod sync;
