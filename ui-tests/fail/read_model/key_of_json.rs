// One value has many forms as JSON.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    #[json]
    pub tags: Vec<String>,
}

fn main() {}
