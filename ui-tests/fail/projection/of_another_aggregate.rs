// The aggregate lists the event.
use es_runtime::prelude::*;
use es_ui_tests::Account;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection(of = Account)]
    fn noted(&mut self, _: &Recorded<es_ui_tests::Noted>) {}
}

fn main() {}
