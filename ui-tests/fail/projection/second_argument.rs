// A row comes from its events alone.
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
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>, rate: i64) {
        self.cents += event.cents * rate;
    }
}

fn main() {}
