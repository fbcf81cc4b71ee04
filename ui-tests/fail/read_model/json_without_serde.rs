// JSON needs serde.
use es_runtime::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub struct Tags(Vec<String>);

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    #[json]
    pub tags: Tags,
}

fn main() {}
