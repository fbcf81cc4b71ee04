// What is written must be read back as it was.

use es_runtime::domain_event;

#[domain_event]
pub struct Deposited {
    #[serde(skip_deserializing)]
    pub cents: i64,
    #[serde(serialize_with = "upper")]
    pub note: String,
    #[serde(deserialize_with = "lower")]
    pub text: String,
    #[serde(rename(serialize = "a", deserialize = "b"))]
    pub name: String,
}

fn main() {}
