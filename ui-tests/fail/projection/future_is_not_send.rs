// Projections run on every thread.
use es_runtime::prelude::*;
use es_ui_tests::MoneyDeposited;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Totals;

#[projection(name = "totals")]
impl Totals {
    #[async_projection]
    async fn deposited(&self, _: &mut SqliteConnection, _: &Recorded<MoneyDeposited>) -> Result<(), sqlx::Error> {
        let local = std::rc::Rc::new(());
        std::future::ready(()).await;
        drop(local);
        Ok(())
    }
}

fn main() {}
