// A row is changed in memory.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[sync_projection]
    fn deposited(&mut self, event: &Recorded<MoneyDeposited>, _: &mut SqliteConnection) {
        self.cents += event.cents;
    }
}

fn main() {}
