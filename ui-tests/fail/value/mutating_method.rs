// A value never changes.
use es_runtime::prelude::*;

#[value_object]
pub struct Money {
    cents: i64,
}

#[value_object]
impl Money {
    pub fn add(&mut self, other: &Self) {
        self.cents += other.cents;
    }
}

fn main() {}
