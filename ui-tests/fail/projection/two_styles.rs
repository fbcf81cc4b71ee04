// A block writes in one way.
use es_runtime::prelude::*;
use es_ui_tests::{AccountClosed, MoneyDeposited};
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    #[async_projection]
    async fn closed(&self, _: Dep<Cache>, _: &Recorded<AccountClosed>) -> Result<(), String> {
        Ok(())
    }
}

pub struct Cache;
impl Dependency for Cache {}

fn main() {}
