use es_runtime::prelude::*;
use es_ui_tests::*;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Books;

#[projection(name = "books")]
impl Books {
    #[sync_projection]
    async fn opened(&self, _: &mut SqliteConnection, _: &Recorded<AccountOpened>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    #[async_projection]
    async fn closed(&self, _: &mut SqliteConnection, _: &Recorded<AccountClosed>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn main() {}
