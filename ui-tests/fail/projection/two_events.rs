// A function takes one event.
use es_runtime::prelude::*;
use es_ui_tests::{AccountClosed, MoneyDeposited};

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn deposited(&mut self, one: &Recorded<MoneyDeposited>, _: &Recorded<AccountClosed>) {
        self.cents += one.cents;
    }
}

fn main() {}
