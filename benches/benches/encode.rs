//! Writing an event as JSON: what the promise costs that it is read back as it was.

#![allow(missing_docs, reason = "a program")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use es_runtime::aggregate::AggregateEvent as _;
use es_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Exact by construction: written without a check.
#[domain_event]
pub struct Booked {
    pub cents: i64,
    pub text: String,
}

/// A float may be `NaN`: checked while it is written.
#[domain_event]
pub struct Weighed {
    pub kilograms: f64,
    pub text: String,
}

/// Nothing is known about the enum: read back and compared.
#[domain_event]
pub struct Moved {
    pub to: Place,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Place {
    Shelf(u32),
    Door,
}

#[command(aggregate = Parcel)]
pub struct Book {
    #[id]
    pub parcel: u64,
}

#[aggregate(name = "parcel", id = u64, events(Booked, Weighed, Moved))]
pub struct Parcel {}

#[aggregate]
impl Parcel {
    #[apply]
    fn booked(_: &Booked) -> Self {
        Self {}
    }
    #[apply]
    fn weighed(&mut self, _: &Weighed) {}
    #[apply]
    fn moved(&mut self, _: &Moved) {}
    #[command_handler]
    fn book(_: Book) -> Booked {
        Booked { cents: 0, text: String::new() }
    }
}

domain! { pub Parcels = "parcels"; aggregates: [Parcel]; commands: [Book] }

/// How often each way is measured, in turns with the other, so that what else the machine does is in both.
const ROUNDS: u32 = 1_000;
/// How many events are written in one measurement.
const EVENTS: u32 = 2_000;

/// Returns the fastest round of either way, in nanoseconds for an event.
fn fastest(mut one: impl FnMut(&mut Vec<u8>), mut other: impl FnMut(&mut Vec<u8>)) -> (f64, f64) {
    let mut bytes = Vec::with_capacity(1_024);
    let mut measure = |way: &mut dyn FnMut(&mut Vec<u8>)| {
        let start = Instant::now();
        for _ in 0..EVENTS {
            bytes.clear();
            way(&mut bytes);
            black_box(&bytes);
        }
        start.elapsed()
    };
    let mut fastest = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        fastest.0 = fastest.0.min(measure(&mut one));
        fastest.1 = fastest.1.min(measure(&mut other));
    }
    let nanoseconds = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(EVENTS);
    (nanoseconds(fastest.0), nanoseconds(fastest.1))
}

/// Compares what the framework writes with `serde_json` behind a trait object, as events are behind one.
fn compare<E: DomainEvent + Into<ParcelEvent>>(name: &str, value: E) {
    trait Plain {
        fn write(&self, into: &mut Vec<u8>) -> serde_json::Result<()>;
    }
    impl<T: Serialize> Plain for T {
        fn write(&self, into: &mut Vec<u8>) -> serde_json::Result<()> {
            serde_json::to_writer(into, self)
        }
    }
    let plain: Box<dyn Plain> = Box::new(value.clone());
    let event: ParcelEvent = value.into();
    let (plain, checked) = fastest(
        |bytes| black_box(&plain).write(bytes).unwrap_or_default(),
        |bytes| black_box(&event).encode(bytes).unwrap_or_default(),
    );
    println!("{name}: {checked:.0} ns, serde_json alone {plain:.0} ns, {:.2} x", checked / plain);
}

fn main() {
    let text = "a text of forty-eight bytes, as events have them".to_owned();
    compare("exact", Booked { cents: 1_234_567, text: text.clone() });
    compare("a float", Weighed { kilograms: 1_234.567_8, text: text.clone() });
    compare("an enum", Moved { to: Place::Shelf(7), text });
}
