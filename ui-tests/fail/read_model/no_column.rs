// A field of any type is no column.
use es_runtime::prelude::*;

pub struct Money(i64);

impl Clone for Money {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl std::fmt::Debug for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Money {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub money: Money,
    pub tags: Vec<String>,
}

fn main() {}
