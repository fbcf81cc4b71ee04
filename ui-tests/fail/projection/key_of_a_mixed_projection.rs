// Mixed projections are keyed by the stream.
use es_runtime::prelude::*;
use es_ui_tests::{AccountClosed, MoneyDeposited};

#[read_model(table = "branches")]
pub struct Branch {
    #[key]
    pub branch: u32,
    pub cents: i64,
}

#[projection(name = "branches")]
impl Branch {
    #[sync_projection(key = |event| event.branch)]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }

    #[async_projection(key = |_| 7)]
    fn closed(this: Option<Self>, _: &Recorded<AccountClosed>) -> Option<Self> {
        this
    }
}

fn main() {}
