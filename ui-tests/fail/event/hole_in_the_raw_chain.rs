// Every older version can be read.
use es_runtime::prelude::*;

#[domain_event(version = 3)]
pub struct Deposited {
    pub cents: i64,
}

#[upcast(event = Deposited, from = 1)]
fn from_1(old: es_runtime::__private::serde_json::Value) -> Result<es_runtime::__private::serde_json::Value, UpcastError> {
    Ok(old)
}

fn main() {}
