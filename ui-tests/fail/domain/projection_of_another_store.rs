// A projection that takes a connection runs on its store.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

domain! { pub Reads = "reads"; projections: [Totals] }

pub fn start(store: MemoryStore) {
    let _ = App::<Reads, _>::builder(store);
}

fn main() {}
