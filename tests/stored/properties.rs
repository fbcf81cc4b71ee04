//! Generated values of every type and attribute: each comes back to the last bit on every way, or is refused.

use chrono::NaiveDate;
use es_runtime::event::DomainEvent as _;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use proptest::collection::{btree_map, hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::domain::{
    Begin, Exact, Forgetful, KeepExact, KeepFloats, Level, Note, Notebook, Noted, Page, Percent, Span, Tagged, Tree,
    Untagged, bits, later,
};
use super::{noted, notes};
use crate::place::{File, Place};
use crate::postgres::Schema;

fn double() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    let (first, last) = (DateTime::<Utc>::MIN_UTC.timestamp(), DateTime::<Utc>::MAX_UTC.timestamp());
    (first..=last, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

fn day() -> impl Strategy<Value = NaiveDate> {
    moment().prop_map(|moment| moment.date_naive())
}

fn span() -> impl Strategy<Value = Span> {
    (moment(), any::<Option<i32>>()).prop_map(|(from, days)| Span::new(from, days))
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![Just(Level::VeryLow), any::<u8>().prop_map(Level::High)]
}

fn tagged() -> impl Strategy<Value = Tagged> {
    prop_oneof![
        any::<u128>().prop_map(|n| Tagged::Wide { n }),
        any::<u64>().prop_map(|n| Tagged::Wide { n: n.into() }),
        hash_map(any::<u32>(), any::<i8>(), 0..3).prop_map(|m| Tagged::Numbers { m }),
        double().prop_map(|f| Tagged::Plain { f }),
        Just(Tagged::Unit),
    ]
}

fn untagged() -> impl Strategy<Value = Untagged> {
    prop_oneof![
        double().prop_map(Untagged::Float),
        any::<u128>().prop_map(Untagged::Wide),
        any::<String>().prop_map(Untagged::Text),
    ]
}

/// Changes an event that can be stored in a few fields.
#[derive(Clone, Debug)]
enum Change {
    Double(f64),
    Single(u32),
    Doubles(Vec<Option<f64>>),
    Twice(Option<Option<u32>>),
    Depth(usize),
    Tagged(Tagged),
    Untagged(Untagged),
    Levels(Level, std::collections::BTreeMap<Level, u8>),
    Wide(u128, Option<i128>),
    Maps(std::collections::HashMap<u32, i8>, std::collections::BTreeMap<NaiveDate, String>),
    Set(std::collections::HashSet<u16>),
    Span(Span),
    Share(u8),
    Texts(String, u64),
    Optional(Option<u64>, bool),
    Forgetful(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        double().prop_map(Change::Double),
        any::<u32>().prop_map(Change::Single),
        vec(option::of(double()), 0..4).prop_map(Change::Doubles),
        any::<Option<Option<u32>>>().prop_map(Change::Twice),
        (1..80_usize).prop_map(Change::Depth),
        tagged().prop_map(Change::Tagged),
        untagged().prop_map(Change::Untagged),
        (level(), btree_map(level(), any::<u8>(), 0..4)).prop_map(|(level, map)| Change::Levels(level, map)),
        any::<(u128, Option<i128>)>().prop_map(|(unsigned, signed)| Change::Wide(unsigned, signed)),
        (hash_map(any::<u32>(), any::<i8>(), 0..4), btree_map(day(), any::<String>(), 0..3))
            .prop_map(|(numbers, days)| Change::Maps(numbers, days)),
        hash_set(any::<u16>(), 0..5).prop_map(Change::Set),
        span().prop_map(Change::Span),
        (0..=100_u8).prop_map(Change::Share),
        any::<(String, u64)>().prop_map(|(renamed, text)| Change::Texts(renamed, text)),
        any::<(Option<u64>, bool)>().prop_map(|(maybe, defaulted)| Change::Optional(maybe, defaulted)),
        (0..2_u8).prop_map(Change::Forgetful),
    ]
}

fn event() -> impl Strategy<Value = Noted> {
    vec(change(), 1..5).prop_map(|changes| {
        let mut noted = noted();
        for change in changes {
            match change {
                Change::Double(double) => noted.double = double,
                Change::Single(bits) => noted.single = f32::from_bits(bits),
                Change::Doubles(doubles) => noted.doubles = doubles,
                Change::Twice(twice) => noted.twice = twice,
                Change::Depth(depth) => noted.tree = Tree::of_depth(depth),
                Change::Tagged(tagged) => noted.tagged = tagged,
                Change::Untagged(untagged) => noted.untagged = untagged,
                Change::Levels(level, by_level) => (noted.level, noted.by_level) = (level, by_level),
                Change::Wide(unsigned, signed) => (noted.unsigned, noted.signed) = (unsigned, signed),
                Change::Maps(by_number, by_day) => (noted.by_number, noted.by_day) = (by_number, by_day),
                Change::Set(set) => noted.sets.0 = set,
                Change::Span(span) => noted.span = span,
                Change::Share(share) => noted.share = Percent::new(share).unwrap(),
                Change::Texts(renamed, text) => (noted.renamed, noted.text) = (renamed, text),
                Change::Optional(maybe, defaulted) => (noted.maybe, noted.defaulted) = (maybe, defaulted),
                Change::Forgetful(lost) => noted.forgetful = Forgetful { lost },
            }
        }
        noted
    })
}

fn depth(tree: &Tree) -> usize {
    1 + tree.below.first().map_or(0, depth)
}

/// Whether JSON holds an event, said once more and otherwise than in the product.
fn is_storable(noted: &Noted) -> bool {
    let finite = |double: &f64| double.is_finite();
    let tagged = match &noted.tagged {
        // What is buffered behind a tag has 64 bits, and keys that are texts.
        Tagged::Wide { .. } => false,
        Tagged::Numbers { m } => m.is_empty(),
        Tagged::Plain { f } => finite(f),
        Tagged::Unit => true,
    };
    let untagged = match &noted.untagged {
        Untagged::Float(float) => finite(float),
        // Read as a float, or not at all.
        Untagged::Wide(_) => false,
        Untagged::Text(_) => true,
    };
    // A key is a text: the variant with a value has none.
    let keys = noted.by_level.keys().all(|level| *level == Level::VeryLow);
    finite(&noted.double)
        && keys
        && noted.single.is_finite()
        && noted.doubles.iter().flatten().all(finite)
        && noted.twice != Some(None)
        && depth(&noted.tree) <= 63
        && tagged
        && untagged
        && noted.forgetful.lost == 0
}

async fn comes_back_or_is_refused<S: Store>(app: &App<super::Notes, S>, noted: Noted) {
    let notebook = Uuid::now_v7().to_string();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    let note = || Note { notebook: notebook.clone(), noted: noted.clone() };
    let before = app.event_count().await.unwrap();
    let outcome = app.dispatch(note()).await;
    if !is_storable(&noted) {
        let error = outcome.expect_err("it should be refused");
        assert!(matches!(&error, DispatchError::NotStorable { what, .. } if what == "Noted"), "{error}");
        assert_eq!(app.event_count().await.unwrap(), before);
        return;
    }
    outcome.unwrap();
    // By name, on the state from the cache; a second time, so that both are in a snapshot and beside one.
    if depth(&noted.tree) < 63 {
        app.dispatch_json_slice("Note", &serde_json::to_vec(&note()).unwrap()).await.unwrap();
    } else {
        // The JSON of the command has a level more than the event, and is not read.
        app.dispatch(note()).await.unwrap();
    }
    app.caught_up().await.unwrap();
    let expected = bits(&noted);
    for version in 2..=3 {
        let state = app.load::<Notebook>(notebook.clone()).at_version(version).await.unwrap().into_state().unwrap();
        assert_eq!(bits(state.noted.as_ref().unwrap()), expected, "version {version}");
    }
    let stored = app.store().read_stream(&Notebook::stream(&notebook), Version::NONE, 10).await.unwrap();
    for stored in stored.iter().skip(1) {
        let later = es_runtime::event::decode::<later::Noted>(stored.schema_version, &stored.body).unwrap();
        assert_eq!((&later.old, &later.renamed), (&expected, &noted.renamed));
    }
    let page = app.table::<Page>().get(&notebook).await.unwrap().unwrap();
    assert_eq!(bits(page.noted.as_ref().unwrap()), expected);
}

async fn floats_come_back<S: Store>(app: &App<super::Notes, S>, double: u64, single: u32) {
    let notebook = Uuid::now_v7().to_string();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    let outcome = app.dispatch(KeepFloats { notebook: notebook.clone(), double, single }).await;
    let (double, single) = (f64::from_bits(double), f32::from_bits(single));
    if !double.is_finite() || !single.is_finite() {
        assert!(matches!(outcome, Err(DispatchError::NotStorable { .. })), "{double} {single}");
        return;
    }
    outcome.unwrap();
    let state = app.load::<Notebook>(notebook).await.unwrap().into_state().unwrap();
    let [(loaded, small)] = state.floats.as_slice() else { panic!("{state:?}") };
    assert_eq!((loaded.to_bits(), small.to_bits()), (double.to_bits(), single.to_bits()));
}

async fn exact_comes_back<S: Store>(app: &App<super::Notes, S>, exact: Exact) {
    let notebook = Uuid::now_v7().to_string();
    app.dispatch(Begin { notebook: notebook.clone() }).await.unwrap();
    app.dispatch(KeepExact { notebook: notebook.clone(), exact: exact.clone() }).await.unwrap();
    let state = app.load::<Notebook>(notebook).await.unwrap().into_state().unwrap();
    assert_eq!(state.exact.as_ref(), Some(&exact));
}

fn exact() -> impl Strategy<Value = Exact> {
    (
        moment(),
        day(),
        any::<(i64, u128, i128, Option<String>, char)>(),
        hash_map(any::<String>(), vec(any::<u8>(), 0..3), 0..3),
        btree_map(any::<u128>().prop_map(Uuid::from_u128), option::of(span()), 0..3),
    )
        .prop_map(|(at, day, (amount, unsigned, signed, text, letter), by_name, ids)| Exact {
            at,
            day,
            amount,
            wide: (unsigned, signed),
            text,
            letter,
            by_name,
            ids,
        })
}

/// Runs all properties on one store.
fn run<S: Store>(open: impl Future<Output = S>, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(async { notes(open.await).await });
    let runner = || TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    runner()
        .run(&event(), |noted| {
            runtime.block_on(comes_back_or_is_refused(&app, noted));
            Ok(())
        })
        .unwrap();
    runner()
        .run(&any::<(u64, u32)>(), |(double, single)| {
            runtime.block_on(floats_come_back(&app, double, single));
            Ok(())
        })
        .unwrap();
    runner()
        .run(&exact(), |exact| {
            runtime.block_on(exact_comes_back(&app, exact));
            Ok(())
        })
        .unwrap();
    runtime.block_on(app.shutdown());
}

#[test]
fn whatever_is_stored_comes_back_to_the_last_bit_in_memory() {
    run(async { es_runtime::store::MemoryStore::new() }, 400);
}

#[test]
fn whatever_is_stored_comes_back_to_the_last_bit_on_sqlite() {
    let file = File::new();
    run(file.open(), 100);
}

#[test]
fn whatever_is_stored_comes_back_to_the_last_bit_on_postgres() {
    if Schema::is_left_out() {
        return;
    }
    let schema = Schema::new();
    run(schema.open(), 60);
}

/// Each type that is written without a check, with values from its whole range.
#[test]
fn exact_types_are_exact() {
    let runner =
        || TestRunner::new(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() });
    assert!(const { Exact::FIDELITY.is_exact() });
    runner()
        .run(&exact(), |exact| {
            let text = serde_json::to_string(&exact).unwrap();
            let read: Exact = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &exact);
            Ok(())
        })
        .unwrap();
    runner()
        .run(&any::<(u64, u32)>(), |(double, single)| {
            let (double, single) = (f64::from_bits(double), f32::from_bits(single));
            prop_assume!(double.is_finite() && single.is_finite());
            let text = serde_json::to_string(&(double, single)).unwrap();
            let (read, small): (f64, f32) = serde_json::from_str(&text).unwrap();
            prop_assert_eq!((read.to_bits(), small.to_bits()), (double.to_bits(), single.to_bits()));
            Ok(())
        })
        .unwrap();
}
