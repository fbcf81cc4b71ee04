// A function inserts or changes.
use es_runtime::prelude::*;
use es_ui_tests::AccountOpened;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn opened(_: &Recorded<AccountOpened>) {}
}

fn main() {}
