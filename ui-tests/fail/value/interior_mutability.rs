// A value never changes.
use es_runtime::prelude::*;

#[value_object]
pub struct Counter {
    count: std::sync::atomic::AtomicU64,
    names: std::cell::RefCell<Vec<String>>,
}

fn main() {}
