// What is ordered by has an index.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub owner: String,
}

pub fn filters() {
    let _ = Balance::ACCOUNT.asc();
    let _ = Balance::OWNER.desc();
}

fn main() {}
