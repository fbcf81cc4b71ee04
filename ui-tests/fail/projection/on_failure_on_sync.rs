// The command fails with it.
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
    #[sync_projection(on_failure = park)]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

fn main() {}
