//! What is seen from outside: spans and metrics, and never a payload.

use std::io::Write;
use std::sync::{Arc, Mutex};

use es_runtime::prelude::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::domain::{Account, Deposit, Open, Withdraw, bank};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_dispatch_load_and_append_is_a_span_without_the_payload() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let account = Uuid::now_v7();
    {
        let _here = tracing::subscriber::set_default(subscriber);
        let bank = bank(MemoryStore::new()).await;
        bank.dispatch(Open { account, owner: "secret-name".into() }).await.unwrap();
        bank.dispatch(Withdraw { account, cents: 987_654 }).await.unwrap_err();
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for expected in [
        "dispatch{command=\"Open\" command_id=",
        "dispatch{command=\"Withdraw\" command_id=",
        ":load{stream=",
        ":append{stream=",
    ] {
        assert!(text.contains(expected), "`{expected}` is not in\n{text}");
    }
    assert!(text.contains(&format!("stream=account/{account}")), "{text}");
    assert!(!text.contains("secret-name") && !text.contains("987654"), "{text}");
}

#[test]
fn dispatches_are_counted_by_command_and_outcome() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let bank = bank(MemoryStore::new()).await;
            let account = Uuid::now_v7();
            bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
            for _ in 0..3 {
                bank.dispatch(Deposit::of(account, 1)).idempotency_key("k").await.unwrap();
            }
            bank.dispatch(Withdraw { account, cents: 5 }).await.unwrap_err();
            assert_eq!(bank.load::<Account>(account).await.unwrap().version(), 2);
        });
    });
    let mut counted: Vec<String> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
            match value {
                DebugValue::Counter(count) if count > 0 => {
                    Some(format!("{} {} {count}", key.key().name(), labels.join(" ")))
                }
                DebugValue::Histogram(values) => {
                    Some(format!("{} {} {}", key.key().name(), labels.join(" "), values.len()))
                }
                _ => None,
            }
        })
        .collect();
    counted.sort();
    let expected = [
        "es_dispatch_seconds Deposit 3",
        "es_dispatch_seconds Open 1",
        "es_dispatch_seconds Withdraw 1",
        "es_dispatch_total Deposit committed 1",
        "es_dispatch_total Deposit replayed 2",
        "es_dispatch_total Open committed 1",
        "es_dispatch_total Withdraw domain 1",
    ];
    assert_eq!(counted, expected);
}
