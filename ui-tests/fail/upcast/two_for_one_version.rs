// There is one upcaster for one step.
use es_runtime::prelude::*;

use es_runtime::__private::serde_json::Value;

#[domain_event(version = 2)]
pub struct Deposited {
    pub cents: i64,
}

#[upcast(event = Deposited, from = 1)]
fn from_1(old: Value) -> Result<Value, UpcastError> {
    Ok(old)
}

#[upcast(event = Deposited, from = 1)]
fn from_1_again(old: Value) -> Result<Value, UpcastError> {
    Ok(old)
}

fn main() {}
