//! What a store keeps when processes die, disks fill up and files are damaged.

pub(crate) mod child;
mod claims;
pub(crate) mod damage;
mod faults;
mod kill;
mod opening;
mod postgres;
mod processes;
mod replaced;
