// All mistakes are told together, and nothing else.
use es_runtime::prelude::*;
use es_ui_tests::{AccountOpened, MoneyDeposited};

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "my balances", version = 0)]
impl Balance {
    #[sync_projection(priority = 12, timeout = "9s")]
    fn opened(_: AccountOpened) -> Self {
        todo!()
    }

    #[async_projection]
    async fn deposited(&mut self, _: &Recorded<MoneyDeposited>) -> u8 {
        3
    }
}

domain! { pub Balances = "balances"; projections: [Balance] }

fn main() {}
