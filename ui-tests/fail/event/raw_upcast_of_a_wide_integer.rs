// Raw upcasters take a `Value`, which would round a `u128`.

use es_runtime::__private::serde_json::Value;
use es_runtime::prelude::*;

#[domain_event(version = 2)]
pub struct Counted {
    pub by: String,
    pub count: Option<u128>,
}

#[upcast(event = Counted, from = 1)]
fn counted(old: Value) -> Result<Value, UpcastError> {
    Ok(old)
}

fn main() {}
