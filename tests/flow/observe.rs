//! What is seen from outside: spans and metrics, and never a payload.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;

use es_runtime::prelude::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::domain::{Account, Deposit, Open, Withdraw, bank};

thread_local! {
    /// The spans of this thread's test, one a line: the names of those around it, its own, its fields.
    static SPANS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Collects spans. One for the whole program: subscribers of single tests would get in each other's way.
struct Collect;

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collect {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        SPANS.with_borrow_mut(|spans| {
            let Some(spans) = spans else { return };
            let names: Vec<_> = context.span_scope(id).unwrap().from_root().map(|span| span.name()).collect();
            spans.push_str(&names.join(":"));
            attributes.record(&mut Fields(spans));
            spans.push('\n');
        });
    }
}

#[tokio::test]
async fn every_dispatch_load_and_append_is_a_span_without_the_payload() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Collect)).unwrap();
    });
    SPANS.set(Some(String::new()));
    let account = Uuid::now_v7();
    let bank = bank(MemoryStore::new()).await;
    bank.dispatch(Open { account, owner: "secret-name".into() }).await.unwrap();
    bank.dispatch(Withdraw { account, cents: 987_654 }).await.unwrap_err();
    let text = SPANS.take().unwrap();
    let stream = format!("stream=account/{account}");
    for (span, fields) in [
        ("dispatch ", "command=\"Open\""),
        ("dispatch ", "command=\"Withdraw\""),
        ("dispatch:load ", ""),
        ("dispatch:append ", "events=1"),
    ] {
        let found = text.lines().any(|line| line.starts_with(span) && line.contains(fields) && line.contains(&stream));
        assert!(found, "`{span}` with `{fields}` and `{stream}` is not in\n{text}");
    }
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
