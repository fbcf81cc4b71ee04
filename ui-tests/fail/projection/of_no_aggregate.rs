// What is no aggregate has no events.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection(of = Balance)]
    fn deposited(&mut self, _: &Recorded<MoneyDeposited>) {}
}

fn main() {}
