// A time-out belongs to a function.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", timeout = "2s")]
impl Balance {
    #[sync_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

fn main() {}
