// What is filtered by has an index.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub owner: String,
}

fn indexed<T, I: es_runtime::read_model::IsIndexed>(_: es_runtime::read_model::ColumnOf<Balance, T, I>) {}

pub fn filters() {
    indexed(Balance::ACCOUNT);
    indexed(Balance::OWNER);
}

fn main() {}
