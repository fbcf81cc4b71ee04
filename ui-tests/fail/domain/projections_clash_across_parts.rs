// Names of projections are unique, in the parts too.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances")]
impl Balance {
    #[async_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

#[read_model(table = "others")]
pub struct Other {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances")]
impl Other {
    #[async_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

domain! { pub First = "first"; projections: [Balance] }

domain! { pub Second = "second"; projections: [Other] }

domain! { pub Whole = "whole"; domains: [First, Second] }

fn main() {}
