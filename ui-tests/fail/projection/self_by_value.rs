// A row comes by reference.
use es_runtime::prelude::*;
use es_ui_tests::AccountClosed;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn closed(self, _: &Recorded<AccountClosed>) -> Self {
        self
    }
}

fn main() {}
