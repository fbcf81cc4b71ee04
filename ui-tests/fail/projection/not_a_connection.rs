// What is lent is a connection.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut Vec<u8>, _: &Recorded<MoneyDeposited>) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
