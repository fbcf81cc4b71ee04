// A key is read from the event.
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
    #[async_projection(key = || 7)]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }
}

fn main() {}
