use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Value, json};

use super::*;

fn bytes(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    write(value, &mut |part| bytes.extend_from_slice(part)).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[derive(Serialize)]
struct Sent {
    to: String,
    cents: i64,
    rate: f64,
    small: f32,
    note: Option<String>,
    letter: char,
    parts: Vec<Part>,
    more: BTreeMap<u8, (bool, ())>,
}

#[derive(Serialize)]
enum Part {
    Unit,
    New(Option<u32>),
    Other(Option<u32>),
    Two(i8, String),
    Named { x: u64, y: Option<bool> },
}

fn sent() -> Sent {
    Sent {
        to: "Ann \"A\" \u{e9}".to_owned(),
        cents: -5,
        rate: 1e21,
        small: 0.1,
        note: None,
        letter: '\n',
        parts: vec![Part::Unit, Part::New(Some(7)), Part::Two(-1, String::new()), Part::Named { x: u64::MAX, y: None }],
        more: BTreeMap::from([(2, (true, ()))]),
    }
}

/// Ledgers hold hashes of this form.
#[test]
fn the_form_of_an_ordinary_command_never_changes() {
    let expected = concat!(
        r#"{"cents",-5,"letter","\n","more",{"2",[true,null,]}"parts",["Unit",{"New",7,}{"Two",[-1,"",]}"#,
        r#"{"Named",{"x",18446744073709551615,}}]"rate",1e+21,"small",0.10000000149011612,"to","Ann \"A\" \u{e9}",}"#,
    );
    assert_eq!(bytes(&sent()), expected.replace("\\u{e9}", "\u{e9}"));
}

/// The form was that of the command as a JSON value.
#[test]
fn the_form_of_an_ordinary_command_is_that_of_its_json() {
    let values = [serde_json::to_value(sent()).unwrap(), json!({"b": [1, {"z": null, "a": -0.0}], "a": {"": "x"}})];
    for value in values {
        assert_eq!(bytes(&value), before(&value));
    }
    assert_eq!(bytes(&sent()), before(&serde_json::to_value(sent()).unwrap()));
    let raw = serde_json::value::RawValue::from_string(r#"{"b": 1.50, "a": null}"#.to_owned()).unwrap();
    assert_eq!(bytes(&raw), before(&serde_json::to_value(&raw).unwrap()));
}

fn before(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, member)| !member.is_null()).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let members = members.into_iter().map(|(name, member)| before(&json!(name)) + &before(member));
            format!("{{{}}}", members.collect::<String>())
        }
        Value::Array(items) => format!("[{}]", items.iter().map(before).collect::<String>()),
        plain => format!("{plain},"),
    }
}

#[test]
fn the_order_of_a_map_does_not_matter_whatever_else_is_in_it() {
    let wide = |map: HashMap<String, u128>| bytes(&(map, u128::MAX, i128::MIN));
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let forward: HashMap<_, _> = names.iter().map(|name| (name.clone(), u128::MAX)).collect();
    let backward: HashMap<_, _> = names.iter().rev().map(|name| (name.clone(), u128::MAX)).collect();
    assert_eq!(wide(forward), wide(backward));
    assert_eq!(bytes(&u128::MAX), "340282366920938463463374607431768211455,");
}

#[test]
fn a_new_optional_field_changes_nothing() {
    assert_eq!(bytes(&json!({"a": 1})), bytes(&json!({"a": 1, "new": null})));
    assert_eq!(bytes(&Part::Named { x: 1, y: None }), bytes(&json!({"Named": {"x": 1}})));
}

#[test]
fn different_values_have_different_forms() {
    let nested = |value: Option<Option<Option<u8>>>| bytes(&BTreeMap::from([("a", value)]));
    let forms = [
        bytes(&f64::NAN),
        bytes(&f64::INFINITY),
        bytes(&f64::NEG_INFINITY),
        bytes(&f32::MAX),
        bytes(&0.0),
        bytes(&-0.0),
        bytes(&None::<f64>),
        bytes(&Some(())),
        bytes(&"NaN"),
        bytes(&"some1"),
        bytes(&"null"),
        nested(None),
        nested(Some(None)),
        nested(Some(Some(None))),
        nested(Some(Some(Some(0)))),
        bytes(&Part::New(None)),
        bytes(&Part::Other(None)),
        bytes(&Part::New(Some(1))),
        bytes(&json!({"a": "1"})),
        bytes(&json!({"a": [1]})),
        bytes(&json!({"a": 1, "b": 1})),
        bytes(&json!({"a": 11})),
        bytes(&json!({"a,1": 1})),
        bytes(&json!([1, 2])),
        bytes(&json!([12])),
        bytes(&json!([[1], 2])),
    ];
    let mut different: Vec<_> = forms.iter().collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), forms.len(), "{forms:?}");
}

#[test]
fn a_key_that_appears_twice_has_no_form() {
    #[derive(Serialize)]
    struct Twice {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    let twice = Twice { a: 1, rest: BTreeMap::from([("a".to_owned(), 2)]) };
    let error = write(&twice, &mut |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the key `a` appears twice in one object");
    let error = write(&HashMap::from([([1], 1)]), &mut |_| ()).unwrap_err();
    assert_eq!(error.to_string(), "a key of a map must be a text or a number");
}
