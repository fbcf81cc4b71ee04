// What waits has something to wait for.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &Recorded<MoneyDeposited>) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
