// A row type is a read model.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

pub struct Balance {
    pub cents: i64,
}

#[projection(name = "balances")]
impl Balance {
    #[async_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

fn main() {}
