//! Writing an event as JSON: what the promise costs that it is read back as it was.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
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

fn encode(criterion: &mut Criterion) {
    let text = "a text of forty-eight bytes, as events have them".to_owned();
    let booked = Booked { cents: 1_234_567, text: text.clone() };
    let weighed = Weighed { kilograms: 1_234.567_8, text: text.clone() };
    let moved = Moved { to: Place::Shelf(7), text };
    let mut group = criterion.benchmark_group("encode");
    let mut bytes = Vec::with_capacity(1_024);
    macro_rules! pair {
        ($name:literal, $event:expr) => {
            let value = $event;
            group.bench_function(concat!($name, ", serde_json alone"), |bencher| {
                bencher.iter(|| {
                    bytes.clear();
                    serde_json::to_writer(&mut bytes, black_box(&value))
                });
            });
            let event = ParcelEvent::from(value.clone());
            group.bench_function($name, |bencher| {
                bencher.iter(|| {
                    bytes.clear();
                    black_box(&event).encode(&mut bytes)
                });
            });
        };
    }
    pair!("exact", booked);
    pair!("a float", weighed);
    pair!("an enum", moved);
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(100).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    targets = encode
}
criterion_main!(benches);
