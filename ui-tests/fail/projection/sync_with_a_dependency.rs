// What happens elsewhere cannot be taken back.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[sync_projection]
    async fn deposited(&self, _: Dep<Cache>, _: &Recorded<MoneyDeposited>) -> Result<(), String> {
        Ok(())
    }
}

pub struct Cache;
impl Dependency for Cache {}

fn main() {}
