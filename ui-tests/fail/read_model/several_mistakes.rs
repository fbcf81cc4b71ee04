// All mistakes are told together, and nothing else.
use es_runtime::prelude::*;

#[read_model(table = "Balances")]
pub struct Balance {
    #[key]
    pub rate: f64,
    pub es_tenant: String,
    pub since: chrono::NaiveTime,
}

pub fn uses(balance: &Balance) -> Balance {
    let _ = (Balance::TABLE, Balance::RATE, balance.key());
    balance.clone()
}

fn main() {}
