//! What the programs `ratios` and `ratios-postgres` share: goals, turns, the table, callers who write, and what they are measured with.

pub mod conflicts;
pub mod env;
pub mod flush;
pub mod goal;
pub mod sample;
pub mod table;
pub mod turns;
pub mod visible;
pub mod watch;
pub mod write;
