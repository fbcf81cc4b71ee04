//! A domain changes: old events are read, old snapshots are ignored, what nobody knows is an error with its place.

use bytes::Bytes;
use es_runtime::event::{DecodeError, EventId, EventName, StreamId};
use es_runtime::prelude::*;
use es_runtime::store::{DecisionChain, NewCommit, NewEvent, Store};
use futures_util::TryStreamExt as _;

use crate::domain::on_every_store;

/// The domain as it was first written.
mod first {
    use super::*;

    #[domain_event]
    pub struct Created {
        pub celsius: i32,
    }

    #[domain_event(name = "Measured")]
    pub struct MeasuredInCelsius {
        pub celsius: i32,
    }

    #[command(aggregate = Sensor)]
    pub struct Create {
        #[id]
        pub sensor: Uuid,
    }

    #[command(aggregate = Sensor)]
    pub struct Measure {
        #[id]
        pub sensor: Uuid,
        pub celsius: i32,
    }

    #[aggregate(name = "sensor", id = Uuid, events(Created, MeasuredInCelsius), snapshot(every = 2))]
    pub struct Sensor {
        last: i32,
    }

    #[aggregate]
    impl Sensor {
        #[apply]
        fn created(event: &Created) -> Self {
            Self { last: event.celsius }
        }

        #[apply]
        fn measured(&mut self, event: &MeasuredInCelsius) {
            self.last = event.celsius;
        }

        #[command_handler]
        fn create(_: Create) -> Created {
            Created { celsius: 0 }
        }

        #[command_handler]
        fn measure(&self, command: Measure) -> MeasuredInCelsius {
            let _ = self.last;
            MeasuredInCelsius { celsius: command.celsius }
        }
    }

    domain! { pub Weather = "weather"; aggregates: [Sensor]; commands: [Create, Measure] }
}

/// The domain three years later: another unit, by type and by raw JSON, and another state.
mod later {
    use super::*;

    #[domain_event(version = 2)]
    pub struct Created {
        pub millikelvin: i64,
    }

    #[upcast(event = Created, from = 1)]
    fn created_in_celsius(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
        let celsius = old["celsius"].as_i64().ok_or_else(|| UpcastError::new("`celsius` is not a number"))?;
        Ok(serde_json::json!({ "millikelvin": celsius * 1_000 + 273_150 }))
    }

    #[domain_event(name = "Measured", version = 1)]
    pub struct MeasuredV1 {
        pub celsius: i32,
    }

    #[domain_event(name = "Measured", version = 2, upcast = MeasuredV1)]
    pub struct MeasuredV2 {
        pub kelvin: f32,
    }

    impl From<MeasuredV1> for MeasuredV2 {
        #[expect(clippy::cast_precision_loss, reason = "temperatures are small")]
        fn from(old: MeasuredV1) -> Self {
            Self { kelvin: old.celsius as f32 + 273.15 }
        }
    }

    #[domain_event(name = "Measured", version = 3, upcast = MeasuredV2)]
    pub struct Measured {
        pub millikelvin: i64,
    }

    impl From<MeasuredV2> for Measured {
        #[expect(clippy::cast_possible_truncation, reason = "temperatures are small")]
        fn from(old: MeasuredV2) -> Self {
            Self { millikelvin: (f64::from(old.kelvin) * 1_000.0).round() as i64 }
        }
    }

    #[command(aggregate = Sensor)]
    pub struct Measure {
        #[id]
        pub sensor: Uuid,
        pub millikelvin: i64,
    }

    #[aggregate(name = "sensor", id = Uuid, events(Created, Measured), snapshot(every = 2))]
    pub struct Sensor {
        last: i64,
        count: u32,
    }

    #[aggregate]
    impl Sensor {
        #[apply]
        fn created(event: &Created) -> Self {
            Self { last: event.millikelvin, count: 0 }
        }

        #[apply]
        fn measured(&mut self, event: &Measured) {
            self.last = event.millikelvin;
            self.count += 1;
        }

        #[command_handler]
        fn measure(&self, command: Measure) -> Measured {
            Measured { millikelvin: command.millikelvin }
        }

        pub fn seen(&self) -> (i64, u32) {
            (self.last, self.count)
        }
    }

    domain! { pub Weather = "weather"; aggregates: [Sensor]; commands: [Measure] }
}

on_every_store! {
    old_events_are_read_through_their_upcasters,
    an_event_that_nobody_knows_is_an_error_with_its_place,
    damaged_json_is_an_error_with_its_place,
}

async fn old_events_are_read_through_their_upcasters<S: Store>(store: S) {
    let sensor = Uuid::now_v7();
    let old = App::<first::Weather, _>::builder(store.clone()).build().await.unwrap();
    old.dispatch(first::Create { sensor }).await.unwrap();
    for celsius in [10, 20, 30] {
        old.dispatch(first::Measure { sensor, celsius }).await.unwrap();
    }
    let fingerprint = <first::Sensor as Aggregate>::SNAPSHOT.unwrap().fingerprint();
    assert!(store.snapshot(&first::Sensor::stream(&sensor), fingerprint).await.unwrap().is_some());

    // The old snapshot does not fit the new state: it is folded from the events again.
    let new = App::<later::Weather, _>::builder(store).build().await.unwrap();
    let loaded = new.load::<later::Sensor>(sensor).await.unwrap();
    assert_eq!(loaded.state().unwrap().seen(), (303_150, 3));
    new.dispatch(later::Measure { sensor, millikelvin: 1 }).await.unwrap();
    let history = new.history::<later::Sensor>(sensor).await.unwrap();
    let first = later::SensorEvent::from(later::Created { millikelvin: 273_150 });
    assert_eq!((history.len(), history[0].event()), (5, &first));
    // The old program refuses what it does not know, and says where.
    let error = old.load::<first::Sensor>(sensor).await.unwrap_err();
    let expected = format!(
        "stream `sensor/{sensor}`, version 5: \
         version 3 of event `Measured` is unknown to this program, which knows versions up to 1"
    );
    assert_eq!(error.to_string(), expected);
    let error = old.dispatch(first::Measure { sensor, celsius: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable");
}

async fn raw<S: Store>(store: &S, stream: &StreamId, name: &'static str, version: u32, body: &'static [u8]) {
    let event = NewEvent {
        id: EventId::new_v7(),
        name: EventName::from(name),
        schema_version: version,
        body: Bytes::from_static(body),
        rules: &[],
    };
    let commit = NewCommit {
        stream: stream.clone(),
        expected: Version::NONE,
        events: vec![event],
        metadata: std::sync::Arc::default(),
        recorded_at: Utc::now(),
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    };
    store.submit(commit).await.await.unwrap();
}

async fn an_event_that_nobody_knows_is_an_error_with_its_place<S: Store>(store: S) {
    let sensor = Uuid::now_v7();
    let stream = later::Sensor::stream(&sensor);
    raw(&store, &stream, "Painted", 1, b"{}").await;
    let app = App::<later::Weather, _>::builder(store).build().await.unwrap();
    let text = format!("stream `{stream}`, version 1: event `Painted` is unknown to this program");
    assert_eq!(app.load::<later::Sensor>(sensor).await.unwrap_err().to_string(), text);
    let error = app.dispatch(later::Measure { sensor, millikelvin: 1 }).await.unwrap_err();
    assert_eq!(error.to_string(), format!("nothing was stored: {text}"));
    let read: Result<Vec<_>, _> = app.events().decode::<later::Weather>().try_collect().await;
    let text = format!("stream `{stream}`, version 1, position 1: event `Painted` is unknown to this program");
    assert_eq!(read.unwrap_err().to_string(), text);
    // Whoever does not decode reads everything.
    let all: Vec<_> = app.events().try_collect().await.unwrap();
    assert_eq!((all.len(), &*all[0].event().name), (1, "Painted"));
    assert_eq!(app.event_count().await.unwrap(), 1);
}

async fn damaged_json_is_an_error_with_its_place<S: Store>(store: S) {
    let bodies: [(u32, &[u8], &str); 5] = [
        (2, b"{\"millikelvin\":", "the stored form of event `Created` version 2 does not fit: EOF"),
        (2, b"", "the stored form of event `Created` version 2 does not fit: EOF"),
        (2, b"{\"millikelvin\":\"warm\"}", "the stored form of event `Created` version 2 does not fit: invalid type"),
        (1, b"{\"celsius\":\"warm\"}", "event `Created` could not be upcast from version 1: `celsius` is not a number"),
        (7, b"{}", "version 7 of event `Created` is unknown to this program, which knows versions up to 2"),
    ];
    let app = App::<later::Weather, _>::builder(store.clone()).build().await.unwrap();
    for (version, body, expected) in bodies {
        let sensor = Uuid::now_v7();
        let stream = later::Sensor::stream(&sensor);
        raw(&store, &stream, "Created", version, body).await;
        let error = app.load::<later::Sensor>(sensor).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("stream `{stream}`, version 1: {expected}")), "{text}");
        assert!(matches!(error, StoreError::Decode(DecodeError::At { .. })));
        let error = app.history::<later::Sensor>(sensor).await.unwrap_err();
        assert!(error.to_string().contains("position"), "{error}");
    }
}
