// A function that waits gives nothing back.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) -> Result<u64, sqlx::Error> {
        Ok(1)
    }
}

fn main() {}
