//! `events.lock` freezes the stored form, and snapshots are compared with it: a change that the Rust names do not show is seen.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use es_runtime::testing::{LockError, update_events_lock};
use serde::{Deserialize, Serialize};

use crate::domain::on_every_store;

on_every_store! {
    a_snapshot_whose_inner_type_has_grown_is_not_used,
}

/// A domain of one event, with what is declared beside it.
macro_rules! order {
    ($module:ident { $($item:item)* } { $($field:tt)* }) => {
        mod $module {
            use super::*;

            $($item)*

            #[domain_event]
            $($field)*

            #[command(aggregate = Order)]
            pub struct Place {
                #[id]
                pub order: u64,
            }

            #[aggregate(name = "order", id = u64, events(Placed))]
            pub struct Order {}

            #[aggregate]
            impl Order {
                #[apply]
                fn placed(_: &Placed) -> Self {
                    Self {}
                }
                #[command_handler]
                fn place(_: Place) -> Result<Placed, NotHere> {
                    Err(NotHere)
                }
            }

            domain! { pub Shop = "shop"; aggregates: [Order]; commands: [Place] }
        }
    };
}

#[derive(Debug, thiserror::Error)]
#[error("nothing is placed here")]
pub struct NotHere;

/// Locks the one domain, and returns what the lock says to the other.
fn changed<Before: Domain, After: Domain>() -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    update_events_lock::<Before>(&file).unwrap();
    update_events_lock::<Before>(&file).unwrap();
    match update_events_lock::<After>(&file).unwrap_err() {
        LockError::Changed { name, version: 1, diff } if name == "Placed" => diff,
        other => panic!("{other}"),
    }
}

order!(plain {
    #[value_object]
    pub struct Line { item: String, unit_price: u64 }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Status { Open, Closed { at: u64 } }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Note { text: String }
} {
    pub struct Placed { pub order_lines: Vec<Line>, pub status: Option<Status>, pub note: Note, pub paid: u64 }
});

order!(camel {
    #[value_object]
    pub struct Line { item: String, unit_price: u64 }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Status { Open, Closed { at: u64 } }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Note { text: String }
} {
    #[serde(rename_all = "camelCase")]
    pub struct Placed { pub order_lines: Vec<Line>, #[serde(rename = "state")] pub status: Option<Status>, pub note: Note, pub paid: u64 }
});

order!(inside {
    #[value_object]
    #[serde(rename_all = "camelCase")]
    pub struct Line { item: String, unit_price: u64 }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum Status { Opened, Closed { at: u64, by: String } }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    pub struct Note { text: String }
} {
    pub struct Placed { pub order_lines: Vec<Line>, pub status: Option<Status>, pub note: Note, pub paid: u64 }
});

order!(otherwise {
    #[value_object]
    pub struct Line { item: String, unit_price: u64 }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub enum Status { Open, Closed { at: u64 } }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct Note { text: String }
} {
    pub struct Placed {
        pub order_lines: Vec<Line>,
        pub status: Option<Status>,
        #[serde(default)]
        pub note: Note,
        #[claim("payment")]
        #[serde(with = "crate::stored::domain::as_text")]
        pub paid: u64,
    }
});

impl Default for otherwise::Note {
    fn default() -> Self {
        serde_json::from_str(r#"{"text":""}"#).unwrap()
    }
}

order!(claiming {} { pub struct Placed { #[claim("payment")] pub paid: u64, pub note: String } });
order!(releasing {} { pub struct Placed { #[release("payment")] pub paid: u64, #[claim("note")] pub note: String } });
order!(renamed {} { pub struct Placed { #[release("payment")] #[serde(rename = "sum")] pub paid: u64, pub note: String } });

#[test]
fn where_only_claims_changed_the_keys_are_to_be_built() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.lock");
    update_events_lock::<claiming::Shop>(&file).unwrap();
    let error = update_events_lock::<releasing::Shop>(&file).unwrap_err();
    assert!(matches!(&error, LockError::ClaimsChanged { name, version: 1, .. } if name == "Placed"), "{error}");
    let text = error.to_string();
    for part in
        ["-   paid: u64 (claim \"payment\")", "+   note: String (claim \"note\")", "`App::builder(..).build_claims()`"]
    {
        assert!(text.contains(part), "{text}");
    }
    let diff = changed::<claiming::Shop, renamed::Shop>();
    assert!(diff.contains("+   sum: u64"), "{diff}");
}

#[test]
fn other_stored_names_are_seen() {
    let diff = changed::<plain::Shop, camel::Shop>();
    for line in [
        "-   order_lines: Vec<Line>",
        "+   orderLines: Vec<Line>",
        "-   status: Option<Status>",
        "+   state: Option<Status>",
    ] {
        assert!(diff.contains(line), "{diff}");
    }
}

#[test]
fn changes_of_types_inside_are_seen_whether_they_are_annotated_or_not() {
    let diff = changed::<plain::Shop, inside::Shop>();
    let lines = [
        "-     unit_price: u64",
        "+     unitPrice: u64",
        "-     | Open",
        "+     | Opened",
        "+       by: str",
        "-     text: str",
        "+     TEXT: str",
    ];
    for line in lines {
        assert!(diff.contains(line), "{line}: {diff}");
    }
}

#[test]
fn tags_attributes_and_claims_are_seen() {
    let diff = changed::<plain::Shop, otherwise::Shop>();
    let lines = [
        "+     tag kind, with fields that are not visible here",
        "+   note: Note (default)",
        "+   paid: u64 (with=\"crate::stored::domain::as_text\") (claim \"payment\")",
    ];
    for line in lines {
        assert!(diff.contains(line), "{line}: {diff}");
    }
}

/// A domain whose state holds a type that is not annotated.
macro_rules! counter {
    ($module:ident { $($inner:tt)* } $apply:expr) => {
        mod $module {
            use super::*;

            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            pub struct Inner { $($inner)* }

            #[domain_event]
            pub struct Counted {}

            #[command(aggregate = Counter)]
            pub struct Count {
                #[id]
                pub counter: u64,
            }

            #[aggregate(name = "counter", id = u64, events(Begun, Counted), snapshot(every = 1))]
            pub struct Counter {
                pub(super) inner: Inner,
            }

            #[domain_event]
            pub struct Begun {}

            #[aggregate]
            impl Counter {
                #[apply]
                fn begun(_: &Begun) -> Self {
                    Self { inner: Inner::default() }
                }
                #[apply]
                fn counted(&mut self, _: &Counted) {
                    let apply: fn(&mut Inner) = $apply;
                    apply(&mut self.inner);
                }
                #[command_handler]
                fn count(this: Option<&Self>, _: Count) -> Vec<CounterEvent> {
                    this.is_none().then(|| Begun {}.into()).into_iter().chain([Counted {}.into()]).collect()
                }
            }

            domain! { pub Counters = "counters"; aggregates: [Counter]; commands: [Count] }
        }
    };
}
counter!(small { pub sum: u64 } |inner| inner.sum += 1);
counter!(grown { pub sum: u64, #[serde(default)] pub count: u64 } |inner| { inner.sum += 1; inner.count += 1 });

async fn a_snapshot_whose_inner_type_has_grown_is_not_used<S: Store>(store: S) {
    let small = App::<small::Counters, _>::builder(store.clone()).build().await.unwrap();
    for _ in 0..3 {
        small.dispatch(small::Count { counter: 1 }).await.unwrap();
    }
    let grown = App::<grown::Counters, _>::builder(store).build().await.unwrap();
    let loaded = grown.load::<grown::Counter>(1).await.unwrap();
    assert_eq!(loaded.state().unwrap().inner, grown::Inner { sum: 3, count: 3 });
}
