//! What is forbidden: one rule, one function, and why.

pub(crate) mod aggregate;
pub(crate) mod behaviour;
pub(crate) mod command;
pub(crate) mod domain;
pub(crate) mod event;
pub(crate) mod fields;
pub(crate) mod handler;
pub(crate) mod items;
pub(crate) mod names;
pub(crate) mod projection;
pub(crate) mod query;
pub(crate) mod read_model;
pub(crate) mod serde;
pub(crate) mod upcaster;
pub(crate) mod value;
