// A projection has no side effects on the domain.
use es_runtime::prelude::*;
use es_ui_tests::{Bank, MoneyDeposited};

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(
        &self,
        _: Dep<Cache>,
        _: &App<Bank, MemoryStore>,
        _: &Recorded<MoneyDeposited>,
    ) -> Result<(), String> {
        Ok(())
    }
}

pub struct Cache;
impl Dependency for Cache {}

fn main() {}
