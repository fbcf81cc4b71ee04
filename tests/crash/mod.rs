//! What a store keeps when processes die, disks fill up and files are damaged.

mod child;
mod damage;
mod faults;
mod kill;
mod opening;
#[cfg(feature = "postgres")]
mod postgres;
mod processes;
