// What is stored and what lives elsewhere are two projections.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(
        &self,
        _: &mut SqliteConnection,
        _: &Recorded<MoneyDeposited>,
        _: Dep<Cache>,
    ) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

pub struct Cache;
impl Dependency for Cache {}

fn main() {}
