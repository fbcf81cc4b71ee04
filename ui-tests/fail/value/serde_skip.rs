// A value is read back as it was, like the event that holds it.

use es_runtime::value_object;

#[value_object]
#[serde(rename_all = "camelCase")]
pub struct Money {
    cents: i64,
    #[serde(skip_deserializing, default)]
    currency: String,
}

fn main() {}
