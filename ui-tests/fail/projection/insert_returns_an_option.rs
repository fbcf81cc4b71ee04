// What may be absent is folded.
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
    fn opened(event: &Recorded<AccountOpened>) -> Option<Self> {
        Some(Self { account: event.id_of::<Account>(), cents: 0 })
    }
}

fn main() {}
