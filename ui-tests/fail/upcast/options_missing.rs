// An upcaster names its event and version.
use es_runtime::prelude::*;

use es_runtime::__private::serde_json::Value;

#[upcast]
fn from_1(old: Value) -> Result<Value, UpcastError> {
    Ok(old)
}

fn main() {}
