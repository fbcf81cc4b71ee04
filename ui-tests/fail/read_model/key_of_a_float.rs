// Floating-point numbers are not compared for equality.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub rate: f64,
}

fn main() {}
