// A reset takes its connection.
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

    #[reset]
    async fn reset(&self, _: &mut SqliteConnection, _: &Recorded<AccountClosed>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn main() {}
