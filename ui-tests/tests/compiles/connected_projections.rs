//! Projections and queries that take a connection, in an outer domain that is bound to its store.
#![deny(warnings)]

use es_runtime::prelude::*;
use sqlx::SqliteConnection;

#[domain_event]
pub struct Opened {
    pub owner: String,
}

#[domain_event]
pub struct Closed;

#[aggregate(name = "account", id = Uuid, events(Opened, Closed))]
pub struct Account;

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self
    }
    #[apply]
    fn closed(&mut self, _: &Closed) {}
}

domain! { pub Bank = "bank"; aggregates: [Account] }

#[derive(Default)]
pub struct Totals {
    table: &'static str,
}

#[projection(name = "totals", version = 3)]
impl Totals {
    #[sync_projection(priority = 3)]
    async fn opened(&self, db: &mut SqliteConnection, event: &Recorded<Opened>) -> Result<(), sqlx::Error> {
        let _ = (self.table, &event.owner);
        sqlx::query("SELECT 1").execute(db).await?;
        Ok(())
    }

    #[reset]
    async fn reset(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM totals").execute(db).await.map(|_| ())
    }
}

#[derive(Default)]
pub struct Endings;

#[projection(name = "endings", partitions = 2)]
impl Endings {
    #[async_projection(of = Account)]
    #[monitor_projection]
    async fn closed(&self, db: &mut SqliteConnection, events: &[Recorded<Closed>]) -> sqlx::Result<()> {
        for _ in events {
            sqlx::query("SELECT 1").execute(&mut *db).await?;
        }
        Ok(())
    }
}

domain! { pub OnSqlite = "on-sqlite"; projections: [Totals, Endings]; domains: [Bank] }

fn on<S: es_runtime::store::Store, D: es_runtime::app::DomainOn<S>>() {}

#[test]
fn compiles() {
    on::<MemoryStore, Bank>();
    on::<SqliteStore, Bank>();
    on::<SqliteStore, OnSqlite>();
    assert!(OnSqlite::describe().projections[0].resets);
}
