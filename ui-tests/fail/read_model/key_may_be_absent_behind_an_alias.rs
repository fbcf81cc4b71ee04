// A row always has a key, also behind an alias.
use es_runtime::prelude::*;

type Maybe = Option<Uuid>;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Maybe,
}

fn main() {}
