// What is written into SQL is a name.
use es_runtime::prelude::*;

#[read_model(table = "a; DROP TABLE b")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
