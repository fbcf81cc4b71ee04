// A function that waits can fail.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) {}
}

fn main() {}
