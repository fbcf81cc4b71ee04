// A projection has one place in the log.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

pub struct Balance<T>(T);

#[projection(name = "balances")]
impl<T> Balance<T> {
    #[async_projection]
    fn deposited(&mut self, _: &Recorded<MoneyDeposited>) {}
}

fn main() {}
