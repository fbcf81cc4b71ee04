//! What JSON would not give back is refused by name, and nothing of it is stored.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use es_runtime::prelude::*;
use es_runtime::store::Store;

use super::domain::{
    Answer, Answered, Begin, Exact, Forgetful, KeepExact, KeepFloats, Note, Notebook, Noted, Page, Tagged, Tree,
    Untagged, bits,
};
use super::{exact, noted, notes};
use crate::domain::on_every_store;

on_every_store! {
    values_that_json_does_not_hold_are_refused_by_their_field,
    values_of_exact_types_are_stored_as_they_are,
    an_output_that_could_not_be_repeated_is_refused_before_the_commit,
    a_row_that_could_not_be_read_is_parked_with_its_column,
    json_is_read_into_the_types_of_the_command,
    an_id_that_does_not_parse_back_is_refused,
}

fn name() -> String {
    Uuid::now_v7().to_string()
}

async fn values_that_json_does_not_hold_are_refused_by_their_field<S: Store>(store: S) {
    let app = notes(store).await;
    let notebook = name();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    type Change = fn(&mut Noted);
    let cases: [(Change, &str); 12] = [
        (|noted| noted.double = f64::NAN, "`double` is NaN, which JSON cannot hold"),
        (|noted| noted.double = f64::INFINITY, "`double` is infinite, which JSON cannot hold"),
        (|noted| noted.single = f32::NEG_INFINITY, "`single` is infinite, which JSON cannot hold"),
        (|noted| noted.doubles[1] = Some(f64::NAN), "`doubles[1]` is NaN, which JSON cannot hold"),
        (
            |noted| noted.twice = Some(None),
            "`twice` is a `Some` that is written as `null` and would be read back as `None`",
        ),
        (|noted| noted.tree = Tree::of_depth(70), "is nested more than 127 levels deep"),
        (|noted| noted.tagged = Tagged::Wide { n: u128::MAX }, "it cannot be read back: u128 is not supported"),
        (
            |noted| noted.tagged = Tagged::Numbers { m: HashMap::from([(7, 1)]) },
            "it cannot be read back: invalid type: string \"7\"",
        ),
        (|noted| noted.untagged = Untagged::Wide(7), "`untagged` is not read back as it was written"),
        (|noted| noted.untagged = Untagged::Float(f64::NAN), "`untagged` is NaN, which JSON cannot hold"),
        (|noted| noted.forgetful = Forgetful { lost: 7 }, "it is not equal to what is read back"),
        (|noted| noted.tree = Tree { below: vec![Tree::of_depth(64)] }, "is nested more than 127 levels deep"),
    ];
    for (change, expected) in cases {
        let mut refused = noted();
        change(&mut refused);
        let error = app.dispatch(Note { notebook: notebook.clone(), noted: refused }).await.unwrap_err();
        let DispatchError::NotStorable { what, reason } = &error else { panic!("{error}") };
        assert_eq!(what, "Noted");
        assert!(reason.contains(expected), "{reason}, not {expected}");
        assert!(!error.is_retryable());
    }
    assert_eq!(app.event_count().await.unwrap(), 1);
    // The deepest that is read is stored.
    let mut deep = noted();
    deep.tree = Tree::of_depth(63);
    app.dispatch(Note { notebook: notebook.clone(), noted: deep.clone() }).await.unwrap();
    let loaded = app.load::<Notebook>(notebook).await.unwrap().into_state().unwrap();
    assert_eq!(bits(loaded.noted.as_ref().unwrap()), bits(&deep));
}

async fn values_of_exact_types_are_stored_as_they_are<S: Store>(store: S) {
    let app = notes(store).await;
    let notebook = name();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    app.dispatch(KeepExact { notebook: notebook.clone(), exact: exact() }).await.unwrap();
    app.dispatch(Note { notebook: notebook.clone(), noted: noted() }).await.unwrap();
    for version in 2..=3 {
        // The first comes from a snapshot, the second is folded on it.
        let state = app.load::<Notebook>(notebook.clone()).at_version(version).await.unwrap().into_state().unwrap();
        assert_eq!(state.exact, Some(exact()));
    }
    let history = app.history::<Notebook>(notebook).await.unwrap();
    assert_eq!(history[1].event(), &exact().into());
    assert_eq!(history[2].event(), &noted().into());
    assert!(const { <Exact as es_runtime::event::DomainEvent>::FIDELITY.is_exact() });
    assert!(const { <Noted as es_runtime::event::DomainEvent>::FIDELITY.is_unknown() });
}

async fn an_output_that_could_not_be_repeated_is_refused_before_the_commit<S: Store>(store: S) {
    let app = notes(store).await;
    let notebook = name();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    let answer = |double: f64, wide| Answer { notebook: notebook.clone(), double: double.to_bits(), wide };
    let cases = [
        (answer(f64::NAN, 1), "`double` is NaN, which JSON cannot hold"),
        (answer(1.0, u128::MAX), "`wide` has more than 64 bits, which a JSON value cannot hold"),
    ];
    for (command, expected) in cases {
        let json = serde_json::to_vec(&command).unwrap();
        let keyed = app.dispatch(command.clone()).idempotency_key("key").await.unwrap_err();
        let by_name = app.dispatch_json_slice("Answer", &json).await.unwrap_err();
        for text in [keyed.to_string(), by_name.to_string()] {
            assert_eq!(text, format!("`output` cannot be stored: {expected}"));
        }
    }
    assert_eq!(app.event_count().await.unwrap(), 1);
    // The key is free, and the aggregate goes on.
    let good = answer(-0.0, 7);
    let first = app.dispatch(good.clone()).idempotency_key("key").await.unwrap();
    let again = app.dispatch(good).idempotency_key("key").await.unwrap();
    assert!(!first.replayed() && again.replayed());
    for receipt in [first, again] {
        assert_eq!(format!("{:?}", receipt.output()), format!("{:?}", Answered { double: -0.0, wide: 7 }));
    }
    // Without a key, nothing has to be read back.
    let unrepeated = app.dispatch(answer(f64::NAN, u128::MAX)).await.unwrap();
    assert!(unrepeated.output().double.is_nan());
}

async fn a_row_that_could_not_be_read_is_parked_with_its_column<S: Store>(store: S) {
    let app = notes(store).await;
    let (bad, good) = (name(), name());
    for notebook in [&bad, &good] {
        app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    }
    let nothing = Exact { amount: 0, ..exact() };
    app.dispatch(KeepExact { notebook: bad.clone(), exact: nothing }).await.unwrap();
    app.dispatch(KeepFloats { notebook: bad.clone(), double: 1, single: 1 }).await.unwrap();
    app.dispatch(KeepFloats { notebook: good.clone(), double: (-0.0_f64).to_bits(), single: 0 }).await.unwrap();
    app.caught_up().await.unwrap();
    let letters = app.subscriptions().letters("pages", None, 10).await.unwrap();
    // The one that failed, and the one behind it.
    assert_eq!(letters.len(), 2, "{letters:?}");
    let text = format!("{:?}", letters[0]);
    assert!(text.contains("stats") && text.contains("`mean` is NaN"), "{text}");
    let pages = app.table::<Page>().list().await.unwrap();
    assert_eq!(pages.len(), 2);
    let page = app.table::<Page>().get(&good).await.unwrap().unwrap();
    assert_eq!(page.double, 0.0);
    assert_eq!(app.table::<Page>().get(&bad).await.unwrap().unwrap().stats.mean, 0.0);
}

async fn json_is_read_into_the_types_of_the_command<S: Store>(store: S) {
    let app = notes(store).await;
    let notebook = name();
    app.dispatch_json("Begin", serde_json::json!({ "notebook": notebook })).await.unwrap();
    let command = Note { notebook: notebook.clone(), noted: noted() };
    app.dispatch_json_slice("Note", &serde_json::to_vec(&command).unwrap()).await.unwrap();
    let state = app.load::<Notebook>(notebook.clone()).await.unwrap().into_state().unwrap();
    assert_eq!(bits(state.noted.as_ref().unwrap()), bits(&noted()));
    let twice = [
        (format!(r#"{{"notebook":"{notebook}","notebook":"other"}}"#), "Begin", "`notebook` is there twice"),
        (
            serde_json::to_string(&command)
                .unwrap()
                .replace(r#""byDay":{"#, r#""byDay":{"2020-01-01":"","2020-01-01":"","#),
            "Note",
            "`2020-01-01` is there twice",
        ),
    ];
    for (json, name, expected) in twice {
        let error = app.dispatch_json_slice(name, json.as_bytes()).await.unwrap_err();
        let DispatchError::Malformed { command, reason, .. } = error else { panic!("{error}") };
        assert_eq!(command, name);
        assert!(reason.starts_with(expected), "{reason}");
    }
    // A rule of a value object holds for what comes from outside.
    let json = serde_json::to_string(&command).unwrap().replace(r#""share":100"#, r#""share":101"#);
    let error = app.dispatch_json_slice("Note", json.as_bytes()).await.unwrap_err().to_string();
    assert!(
        error.starts_with("command `Note` could not be read at `noted.share`: more than a hundred percent"),
        "{error}"
    );
}

/// An id as somebody might write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Plate(String);

impl fmt::Display for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(self.0 != "panic", "no text for this");
        f.write_str(&self.0.to_uppercase())
    }
}

impl FromStr for Plate {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(' ') { Err("no spaces") } else { Ok(Self(text.to_owned())) }
    }
}

#[domain_event]
pub struct Registered {}

#[command(aggregate = Car)]
pub struct Register {
    #[id]
    pub plate: Plate,
}

#[aggregate(name = "car", id = Plate, events(Registered))]
pub struct Car {}

#[aggregate]
impl Car {
    #[apply]
    fn registered(_: &Registered) -> Self {
        Self {}
    }
    #[command_handler]
    fn register(_: Register) -> Registered {
        Registered {}
    }
}

domain! { pub Cars = "cars"; aggregates: [Car]; commands: [Register] }

async fn an_id_that_does_not_parse_back_is_refused<S: Store>(store: S) {
    let app = App::<Cars, _>::builder(store).build().await.unwrap();
    let register = |plate: &str| Register { plate: Plate(plate.to_owned()) };
    let cases = [
        ("abc", "its text `ABC` parses to another id"),
        ("A B", "its text `A B` does not parse: no spaces"),
        ("panic", "writing or parsing it panicked: no text for this"),
    ];
    for (plate, expected) in cases {
        let error = app.dispatch(register(plate)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("`id` cannot be stored: {expected}"));
    }
    assert_eq!(app.event_count().await.unwrap(), 0);
    app.dispatch(register("ABC")).await.unwrap();
}
