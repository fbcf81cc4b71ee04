//! What is stored can be read back, bit for bit; what could not is refused, and nothing of it is stored.

mod domain;
mod history;
mod lock;
mod properties;
mod refused;

use chrono::NaiveDate;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use domain::{Exact, Forgetful, Level, Noted, Notes, Percent, Span, Tagged, Tree, Untagged};

async fn notes<S: Store>(store: S) -> App<Notes, S> {
    App::<Notes, _>::builder(store).build().await.unwrap()
}

/// An event that can be stored.
fn noted() -> Noted {
    Noted {
        double: -0.0,
        single: 0.1,
        doubles: vec![Some(1.071_566_039_146_582_6e-75), None, Some(985.690_694_632_869_5)],
        twice: Some(Some(1)),
        tree: Tree::of_depth(3),
        tagged: Tagged::Plain { f: 1e300 },
        untagged: Untagged::Text("text".to_owned()),
        level: Level::High(7),
        by_level: [(Level::VeryLow, 1)].into(),
        unsigned: u128::MAX,
        signed: Some(i128::MIN),
        by_number: [(7, -7), (8, -8), (9, -9)].into(),
        by_day: [(NaiveDate::MAX, "last".to_owned())].into(),
        sets: ([1, 2, 3, 4].into(), ['a', '\u{1f600}'].into()),
        array: [i64::MIN, i64::MAX],
        time: std::time::Duration::new(u64::MAX, 999_999_999),
        span: Span::new(DateTime::<Utc>::MIN_UTC, Some(-1)),
        share: Percent::new(100).unwrap(),
        id: Uuid::max(),
        boxed: Box::new(u64::MAX),
        renamed: "\u{0} \u{1} \" \\ \u{2028}".to_owned(),
        defaulted: true,
        text: u64::MAX,
        maybe: None,
        forgetful: Forgetful::default(),
    }
}

fn exact() -> Exact {
    Exact {
        at: DateTime::<Utc>::MAX_UTC,
        day: NaiveDate::MIN,
        amount: i64::MIN,
        wide: (u128::MAX, i128::MIN),
        text: Some(String::new()),
        letter: '\u{0}',
        by_name: [(String::new(), vec![0, 255])].into(),
        ids: [(Uuid::nil(), Some(Span::new(DateTime::UNIX_EPOCH, None))), (Uuid::max(), None)].into(),
    }
}
