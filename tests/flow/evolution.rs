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

/// A program with bugs: an upcaster and an apply function that panic, and an event that does not create any longer.
mod buggy {
    use super::*;

    #[domain_event(version = 2)]
    pub struct Created {
        pub celsius: i32,
    }

    #[upcast(event = Created, from = 1)]
    fn created_warm(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
        assert_ne!(old["celsius"], 0, "no upcaster for zero");
        Ok(old)
    }

    #[domain_event]
    pub struct Measured {
        pub celsius: i32,
    }

    #[domain_event]
    pub struct Begun {}

    #[command(aggregate = Sensor)]
    pub struct Measure {
        #[id]
        pub sensor: Uuid,
        pub celsius: i32,
    }

    #[aggregate(name = "sensor", id = Uuid, events(Created, Measured, Begun))]
    pub struct Sensor {
        left: i32,
    }

    #[aggregate]
    impl Sensor {
        #[apply]
        fn begun(_: &Begun) -> Self {
            Self { left: 0 }
        }

        #[apply]
        fn created(&mut self, event: &Created) {
            self.left = event.celsius;
        }

        #[apply]
        fn measured(&mut self, event: &Measured) {
            self.left = 100_i32.checked_div(event.celsius).expect("an apply that divides");
        }

        #[command_handler]
        fn measure(&self, command: Measure) -> Measured {
            let _ = self.left;
            Measured { celsius: command.celsius }
        }
    }

    #[read_model(table = "sensors")]
    pub struct SensorRow {
        #[key]
        pub sensor: Uuid,
        pub celsius: i32,
    }

    #[projection(name = "sensors", version = 1)]
    impl SensorRow {
        #[async_projection]
        fn created(event: &Recorded<Created>) -> Self {
            Self { sensor: event.id_of::<Sensor>(), celsius: event.celsius }
        }
    }

    domain! { pub Weather = "weather"; aggregates: [Sensor]; commands: [Measure]; projections: [SensorRow] }
}

on_every_store! {
    old_events_are_read_through_their_upcasters,
    a_bug_in_an_upcaster_or_an_apply_function_is_not_taken_for_damage,
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
    raw_at(store, stream, 0, name, version, body).await;
}

async fn raw_at<S: Store>(
    store: &S,
    stream: &StreamId,
    expected: u64,
    name: &'static str,
    version: u32,
    body: &'static [u8],
) {
    let event = NewEvent {
        id: EventId::new_v7(),
        name: EventName::from(name),
        schema_version: version,
        body: Bytes::from_static(body),
        rules: &[],
    };
    let commit = NewCommit {
        stream: stream.clone(),
        expected: Version::new(expected),
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

/// Whoever restored a backup for it would lose what is fine.
async fn a_bug_in_an_upcaster_or_an_apply_function_is_not_taken_for_damage<S: Store>(store: S) {
    let sensors: Vec<_> = (0..3).map(|_| Uuid::now_v7()).collect();
    let bodies: [(&str, &'static [u8]); 3] =
        [("Created", br#"{"celsius":0}"#), ("Created", br#"{"celsius":1}"#), ("Begun", b"{}")];
    for (sensor, (name, body)) in sensors.iter().zip(bodies) {
        raw(&store, &buggy::Sensor::stream(sensor), name, 1, body).await;
    }
    for (version, body) in [(1, br#"{"celsius":1}"#), (2, br#"{"celsius":0}"#)] {
        raw_at(&store, &buggy::Sensor::stream(&sensors[2]), version, "Measured", 1, body).await;
    }
    let app = App::<buggy::Weather, _>::builder(store).build().await.unwrap();
    let expected = [
        (1, "decoding event `Created` from version 1 panicked: assertion `left != right` failed: no upcaster for zero"),
        (1, "event `Created` changes `sensor`, which does not exist"),
        (3, "applying event `Measured` to `sensor` panicked: an apply that divides"),
    ];
    for (sensor, (version, cause)) in sensors.iter().zip(expected) {
        let stream = buggy::Sensor::stream(sensor);
        let error = app.load::<buggy::Sensor>(*sensor).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("stream `{stream}`, version {version}: {cause}")), "{text}");
        let typed =
            matches!(&error, StoreError::Decode(error) if matches!(error.cause(), DecodeError::Panicked { .. }));
        assert!(typed || matches!(error, StoreError::CannotApply { .. }), "{error:?}");
        let error = app.dispatch(buggy::Measure { sensor: *sensor, celsius: 5 }).await.unwrap_err();
        assert!(error.to_string().contains(cause) && !error.is_retryable(), "{error}");
    }
    let error = app.history::<buggy::Sensor>(sensors[0]).await.unwrap_err();
    assert!(error.to_string().contains(expected[0].1), "{error}");
    let read: Result<Vec<_>, _> = app.events().decode::<buggy::Weather>().try_collect().await;
    assert!(read.unwrap_err().to_string().contains(expected[0].1));
    // The projection puts the event aside with the same cause, and goes on with the others.
    app.caught_up().await.unwrap();
    let letters = app.subscriptions().letters("sensors", None, 10).await.unwrap();
    let cause = letters[0].letter.cause.as_deref().unwrap_or_default();
    assert!(letters.len() == 1 && cause.contains(expected[0].1), "{letters:?}");
}
