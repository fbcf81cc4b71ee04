//! Local calendar days, ids, nested values and recursion may be stored.
#![deny(warnings)]
use es_runtime::prelude::*;
use std::collections::BTreeMap;

#[value_object]
pub struct Money {
    cents: i64,
    #[serde(rename = "cur")]
    currency: String,
}

#[value_object]
pub struct Tags(Vec<String>);

/// A tree of places.
#[domain_event]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub day: chrono::NaiveDate,
    pub at: DateTime<Utc>,
    pub maybe: Option<DateTime<Utc>>,
    pub prices: BTreeMap<String, Money>,
    pub tags: Tags,
    pub temperature: f64,
    #[lossy = "an estimate for the list only"]
    pub price_estimate: f64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<Money>>,
    pub pair: (u8, [i32; 3]),
}

#[domain_event(name = "DepositMoney")]
pub struct DepositMoney {}

#[test]
fn compiles() {
    let money = Money::new(5, "EUR".to_owned());
    assert_eq!((money.cents(), money.currency().as_str()), (&5, "EUR"));
    assert_eq!(Tags::new(vec![]).value(), Tags::new(vec![]).as_ref());
}
