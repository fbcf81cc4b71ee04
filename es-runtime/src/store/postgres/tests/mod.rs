//! The read side on a real server, where it is particular. What every store does stands in the contract.

mod batches;
mod connected;
mod contract_tmp;
mod lend;
mod place;
mod tables;
