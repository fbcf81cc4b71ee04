//! A domain whose events, state, outputs and rows hold every type and attribute that is allowed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::NaiveDate;
use es_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Deep values: the JSON has two levels for each of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    pub below: Vec<Tree>,
}

impl Tree {
    pub fn of_depth(levels: usize) -> Self {
        (1..levels).fold(Self::default(), |below, _| Self { below: vec![below] })
    }
}

/// serde buffers what is inside of such an enum, and the buffer holds no 128-bit integers and no integers as keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
pub enum Tagged {
    Wide { n: u128 },
    Numbers { m: HashMap<u32, i8> },
    Plain { f: f64 },
    Unit,
}

/// The first variant that fits is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Untagged {
    Float(f64),
    Wide(u128),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    VeryLow,
    High(u8),
}

/// Writes and reads a number as its own text.
pub mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Skips a field without a word, as only a type that is not annotated can.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forgetful {
    #[serde(skip)]
    pub lost: u8,
}

#[value_object(validate)]
pub struct Percent(u8);

#[value_object]
impl Percent {
    fn validate(&self) -> Result<(), TooMuch> {
        if self.0 <= 100 { Ok(()) } else { Err(TooMuch) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than a hundred percent")]
pub struct TooMuch;

#[value_object]
pub struct Span {
    from: DateTime<Utc>,
    days: Option<i32>,
}

/// Every type that a field may have, and every attribute.
#[domain_event]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Noted {
    pub double: f64,
    pub single: f32,
    pub doubles: Vec<Option<f64>>,
    pub twice: Option<Option<u32>>,
    pub tree: Tree,
    pub tagged: Tagged,
    pub untagged: Untagged,
    pub level: Level,
    pub by_level: BTreeMap<Level, u8>,
    pub unsigned: u128,
    pub signed: Option<i128>,
    pub by_number: HashMap<u32, i8>,
    pub by_day: BTreeMap<NaiveDate, String>,
    pub sets: (HashSet<u16>, BTreeSet<char>),
    pub array: [i64; 2],
    pub time: Duration,
    pub span: Span,
    pub share: Percent,
    pub id: Uuid,
    pub boxed: Box<u64>,
    #[serde(rename = "otherwise", alias = "elsewise")]
    pub renamed: String,
    #[serde(default)]
    pub defaulted: bool,
    #[serde(with = "as_text")]
    pub text: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maybe: Option<u64>,
    pub forgetful: Forgetful,
}

/// Only types that are exact by construction.
#[domain_event]
pub struct Exact {
    pub at: DateTime<Utc>,
    pub day: NaiveDate,
    pub amount: i64,
    pub wide: (u128, i128),
    pub text: Option<String>,
    pub letter: char,
    pub by_name: HashMap<String, Vec<u8>>,
    pub ids: BTreeMap<Uuid, Option<Span>>,
}

/// Kept because it is refused by nothing but the strict serializer.
#[domain_event]
pub struct Floats {
    pub double: f64,
    pub single: f32,
}

#[command(aggregate = Notebook)]
pub struct Note {
    #[id]
    pub notebook: String,
    pub noted: Noted,
}

#[command(aggregate = Notebook)]
pub struct KeepExact {
    #[id]
    pub notebook: String,
    pub exact: Exact,
}

#[command(aggregate = Notebook)]
pub struct KeepFloats {
    #[id]
    pub notebook: String,
    pub double: u64,
    pub single: u32,
}

/// Answers with what it is told to.
#[command(aggregate = Notebook)]
pub struct Answer {
    #[id]
    pub notebook: String,
    /// The bits of a float.
    pub double: u64,
    pub wide: u128,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub double: f64,
    pub wide: u128,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refused(#[from] RecordError);

#[domain_event]
pub struct Begun {}

#[command(aggregate = Notebook)]
pub struct Begin {
    #[id]
    pub notebook: String,
}

/// A state of which nothing is known: what is read from a snapshot equals what replay gives.
#[aggregate(name = "notebook", id = String, events(Begun, Noted, Exact, Floats), snapshot(every = 2, version = 1))]
#[derive(Clone, Debug, PartialEq)]
pub struct Notebook {
    pub(super) noted: Option<Noted>,
    pub(super) exact: Option<Exact>,
    pub(super) floats: Vec<(f64, f32)>,
    pub(super) count: u64,
}

#[aggregate]
impl Notebook {
    #[apply]
    fn begun(_: &Begun) -> Self {
        Self { noted: None, exact: None, floats: Vec::new(), count: 0 }
    }

    #[apply]
    fn noted(&mut self, event: &Noted) {
        self.noted = Some(event.clone());
        self.count += 1;
    }

    #[apply]
    fn exact(&mut self, event: &Exact) {
        self.exact = Some(event.clone());
        self.count += 1;
    }

    #[apply]
    fn floats(&mut self, event: &Floats) {
        self.floats.push((event.double, event.single));
        self.count += 1;
    }

    #[command_handler]
    fn begin(_: Begin) -> Begun {
        Begun {}
    }

    #[command_handler]
    fn note(&self, command: Note) -> Noted {
        command.noted
    }

    #[command_handler]
    fn keep_exact(&self, command: KeepExact) -> Exact {
        command.exact
    }

    #[command_handler]
    fn keep_floats(&self, command: KeepFloats) -> Floats {
        Floats { double: f64::from_bits(command.double), single: f32::from_bits(command.single) }
    }
}

#[command_handler]
pub async fn answer(command: Answer, notebook: &mut Existing<Notebook>) -> Result<Answered, Refused> {
    notebook.record(Floats { double: 1.0, single: 1.0 })?;
    Ok(Answered { double: f64::from_bits(command.double), wide: command.wide })
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub mean: f64,
}

/// A row with everything as JSON, and with a float of its own.
#[read_model(table = "pages")]
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    #[key]
    pub notebook: String,
    #[json]
    pub noted: Option<Noted>,
    #[json]
    pub stats: Stats,
    pub double: f64,
}

#[projection(name = "pages", version = 1)]
impl Page {
    #[async_projection]
    fn begun(event: &Recorded<Begun>) -> Self {
        Self { notebook: event.id_of::<Notebook>(), noted: None, stats: Stats { mean: 0.0 }, double: 0.0 }
    }

    #[async_projection]
    fn noted(&mut self, event: &Recorded<Noted>) {
        self.noted = Some(event.event().clone());
    }

    #[async_projection]
    fn exact(&mut self, event: &Recorded<Exact>) {
        // No mean of nothing.
        self.stats.mean = 0.0 / (event.amount as f64);
    }

    #[async_projection]
    fn floats(&mut self, event: &Recorded<Floats>) {
        self.double = event.double;
    }
}

domain! {
    pub Notes = "notes";
    aggregates: [Notebook];
    commands: [Begin, Note, KeepExact, KeepFloats, Answer];
    projections: [Page];
}

/// The same event a version later: what is stored is read through the old type.
pub mod later {
    use super::*;

    pub use super::Noted as NotedV1;

    #[domain_event(name = "Noted", version = 2, upcast = NotedV1)]
    pub struct Noted {
        pub old: String,
        pub renamed: String,
    }

    impl From<NotedV1> for Noted {
        fn from(old: NotedV1) -> Self {
            Self { old: super::bits(&old), renamed: old.renamed }
        }
    }
}

/// Writes an event so that two are equal only to the last bit, however its maps are ordered.
pub fn bits(noted: &Noted) -> String {
    let sorted: BTreeMap<_, _> = noted.by_number.iter().collect();
    let set: BTreeSet<_> = noted.sets.0.iter().collect();
    let tagged = match &noted.tagged {
        Tagged::Numbers { m } => format!("{:?}", m.iter().collect::<BTreeMap<_, _>>()),
        other => format!("{other:?}"),
    };
    let plain = Noted {
        by_number: HashMap::new(),
        sets: (HashSet::new(), noted.sets.1.clone()),
        tagged: Tagged::Unit,
        ..noted.clone()
    };
    format!("{plain:?} {sorted:?} {set:?} {tagged}")
}
