// The runtime folds many events.
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
    #[async_projection]
    fn deposited(&mut self, events: &[Recorded<MoneyDeposited>]) {
        self.cents += events.len() as i64;
    }
}

fn main() {}
