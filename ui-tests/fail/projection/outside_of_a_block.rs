// The attributes of functions are read by the block.
use es_runtime::prelude::*;
use es_ui_tests::{AccountOpened, MoneyDeposited};

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

impl Balance {
    #[sync_projection(priority = 1)]
    fn opened(&mut self, _: &Recorded<AccountOpened>) {}

    #[async_projection]
    fn deposited(&mut self, _: &Recorded<MoneyDeposited>) {}

    #[monitor_projection]
    fn watched(&mut self) {}

    #[reset]
    fn reset(&mut self) {}
}

fn main() {}
