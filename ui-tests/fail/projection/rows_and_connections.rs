// A block writes in one way.
use es_runtime::prelude::*;
use es_ui_tests::{AccountClosed, MoneyDeposited};
use sqlx::SqliteConnection;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[async_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>) {
        self.cents += event.cents;
    }

    #[async_projection]
    async fn closed(&self, _: &mut SqliteConnection, _: &Recorded<AccountClosed>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn main() {}
