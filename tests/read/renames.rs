//! A projection that is renamed while the program with the old name still runs.

use es_runtime::app::BuildError;
use es_runtime::prelude::*;
use es_runtime::store::{RegisterError, Store};

use crate::domain::on_every_store;

on_every_store! {
    a_renamed_projection_serves_what_was_built_while_the_old_program_runs,
}

macro_rules! program {
    ($module:ident, $($options:tt)*) => {
        mod $module {
            use super::*;

            #[domain_event]
            pub struct Opened {}
            #[domain_event]
            pub struct Paid { pub cents: i64 }

            #[command(aggregate = Purse)]
            pub struct Open { #[id] pub purse: Uuid }
            #[command(aggregate = Purse)]
            pub struct Pay { #[id] pub purse: Uuid, pub cents: i64 }

            #[aggregate(name = "purse", id = Uuid, events(Opened, Paid))]
            pub struct Purse {}

            #[aggregate]
            impl Purse {
                #[apply] fn opened(_: &Opened) -> Self { Self {} }
                #[apply] fn paid(&mut self, _: &Paid) {}
                #[command_handler] fn open(_: Open) -> Opened { Opened {} }
                #[command_handler] fn pay(&self, command: Pay) -> Paid { Paid { cents: command.cents } }
            }

            #[read_model(table = "purses")]
            pub struct Row { #[key] pub purse: Uuid, pub cents: i64, pub payments: u32 }

            #[projection(version = 1, $($options)*)]
            impl Row {
                #[sync_projection]
                fn opened(event: &Recorded<Opened>) -> Self {
                    Self { purse: event.id_of::<Purse>(), cents: 0, payments: 0 }
                }
                #[async_projection]
                fn paid(&mut self, event: &Recorded<Paid>) { self.cents += event.cents; self.payments += 1; }
            }

            domain! { pub Shop = "shop"; aggregates: [Purse]; commands: [Open, Pay]; projections: [Row] }
        }
    };
}

program!(old, name = "ver");
program!(new, name = "ver_renamed", renamed_from = "ver");

async fn a_renamed_projection_serves_what_was_built_while_the_old_program_runs(store: impl Store) {
    let before: App<old::Shop, _> = App::builder(store.clone()).build().await.unwrap();
    let purse = Uuid::now_v7();
    before.dispatch(old::Open { purse }).await.unwrap();
    for cents in 1..=10 {
        before.dispatch(old::Pay { purse, cents }).await.unwrap();
    }
    before.caught_up().within_secs(30).await.unwrap();

    let after: App<new::Shop, _> = App::builder(store.clone()).build().await.unwrap();
    let row = after.table::<new::Row>().get(&purse).await.unwrap().unwrap();
    assert_eq!((row.cents, row.payments), (55, 10), "it serves at once");

    // The old program goes on dispatching; what it stores is projected by the new one, once.
    let other = Uuid::now_v7();
    before.dispatch(old::Open { purse: other }).await.unwrap();
    for cents in 1..=10 {
        before.dispatch(old::Pay { purse: other, cents }).await.unwrap();
        after.dispatch(new::Pay { purse, cents }).await.unwrap();
    }
    after.caught_up().within_secs(30).await.unwrap();
    for (purse, expected) in [(purse, (110, 20)), (other, (55, 10))] {
        let row = after.table::<new::Row>().get(&purse).await.unwrap().unwrap();
        assert_eq!((row.cents, row.payments), expected);
    }

    // It no longer reads the table, and does not start again.
    let read = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while before.table::<old::Row>().get(&purse).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    read.await.unwrap();
    let error = App::<old::Shop, _>::builder(store.clone()).build().await.map(drop).unwrap_err();
    assert!(matches!(&error, BuildError::Projection(RegisterError::Renamed { .. })), "{error:?}");
    assert_eq!(error.to_string(), "projection `ver` is called `ver_renamed` now; use the newest program");
    let row = after.table::<new::Row>().get(&purse).await.unwrap().unwrap();
    assert_eq!((row.cents, row.payments), (110, 20));
}
