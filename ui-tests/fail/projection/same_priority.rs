// The order of two functions is said.
#![deny(deprecated)]

use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[read_model(table = "branches")]
pub struct Branch {
    #[key]
    pub branch: u32,
    pub cents: i64,
}

#[projection(name = "branches")]
impl Branch {
    #[sync_projection(priority = 2, key = |event| event.branch)]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }

    #[sync_projection(priority = 2, key = |_| 0)]
    fn in_all(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

domain! { pub Branches = "branches"; projections: [Branch] }

fn main() {}
