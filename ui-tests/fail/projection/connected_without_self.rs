// A projection takes itself.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(_: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn main() {}
