//! Workers, keepers and operators on the store in memory.

mod delivery;
mod fixture;
mod leases;
mod letters;
mod operating;
mod rebuilding;
mod shaky;
