//! What is counted of subscriptions and queries.

use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::subscription::SubscriptionState;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::domain::{Account, Core, Deposit, Deposited, Open, Opened};

const BAD: i64 = 13;

/// Declares a projection that panics on a bad amount.
macro_rules! picky {
    ($row:ident, $name:literal, $policy:ident) => {
        #[read_model(table = $name)]
        pub struct $row {
            #[key]
            pub account: Uuid,
            pub cents: i64,
        }

        #[projection(name = $name, version = 1, on_failure = $policy)]
        impl $row {
            #[async_projection]
            #[monitor_projection]
            fn opened(event: &Recorded<Opened>) -> Self {
                Self { account: event.id_of::<Account>(), cents: 0 }
            }

            #[async_projection]
            fn deposited(&mut self, event: &Recorded<Deposited>) {
                assert_ne!(event.cents, BAD, "a bug");
                self.cents += event.cents;
            }
        }
    };
}

picky!(Parks, "parks", park);
picky!(Skips, "skips", skip);
picky!(Stops, "stops", stop);

#[query(output = Option<i64>)]
pub struct CentsOf {
    pub account: Uuid,
}

#[query_handler]
pub async fn cents_of(query: CentsOf, rows: &Table<Skips>) -> Result<Option<i64>, ReadModelError> {
    Ok(rows.get(&query.account).await?.map(|row| row.cents))
}

domain! { pub Watched = "watched"; domains: [Core]; queries: [CentsOf]; projections: [Parks, Skips, Stops] }

async fn some_failures() {
    let app: App<Watched, _> = App::builder(MemoryStore::new()).build().await.unwrap();
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    let receipt = app.dispatch(Deposit { account, branch: 1, cents: vec![1, BAD, 2] }).await.unwrap();
    assert_eq!(app.query(CentsOf { account }).after(&receipt).within_secs(120).await.unwrap(), Some(3));
    let mut health = app.subscriptions().health();
    let done = health.wait_for(|health| {
        let stopped = health.of("stops").any(|each| matches!(each.state, SubscriptionState::Stopped { .. }));
        stopped && health.of("parks").any(|each| each.letters == 2)
    });
    tokio::time::timeout(Duration::from_secs(20), done).await.unwrap().unwrap();
    assert!(!health.borrow().is_well());
    app.shutdown().await;
}

/// Gives what was counted, as `name labels… count`.
fn counted(snapshotter: &Snapshotter) -> Vec<String> {
    let all = snapshotter.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => return None,
        };
        Some(format!("{} {} {count}", key.key().name(), labels.join(" ")))
    });
    all.collect()
}

#[test]
fn what_subscriptions_and_queries_do_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(some_failures());
    });
    let counted = counted(&snapshotter);
    for expected in [
        "es_subscription_events_total parks 0 2",
        "es_subscription_parked_total parks 0 2",
        "es_subscription_events_total skips 0 3",
        "es_subscription_skipped_total skips 0 1",
        "es_subscription_events_total stops 0 2",
        "es_subscription_stopped_total stops 0 1",
        "es_projection_handler_seconds skips opened 1",
        "es_query_total CentsOf answered 1",
        "es_query_seconds CentsOf 1",
    ] {
        assert!(counted.iter().any(|found| found == expected), "`{expected}` is not in {counted:#?}");
    }
}
