// Partitions are not ordered among each other.
use es_runtime::prelude::*;
use es_ui_tests::AccountOpened;
use sqlx::SqliteConnection;

#[derive(Default)]
pub struct Books;

#[projection(name = "books", partitions = 2)]
impl Books {
    #[sync_projection]
    async fn opened(&self, _: &mut SqliteConnection, _: &Recorded<AccountOpened>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

fn main() {}
