// A stored event cannot be refused.
use es_runtime::prelude::*;
use es_ui_tests::{Account, AccountOpened};

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn opened(event: &Recorded<AccountOpened>) -> Result<Self, String> {
        Ok(Self { account: event.id_of::<Account>(), cents: 0 })
    }
}

fn main() {}
