//! What was written: the only folder that parses.

pub(crate) mod attributes;
pub(crate) mod domain;
pub(crate) mod function;
pub(crate) mod impl_block;
pub(crate) mod item;
pub(crate) mod options;
pub(crate) mod read_side;
pub(crate) mod types;
