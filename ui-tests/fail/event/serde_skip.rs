// No field is lost.
use es_runtime::prelude::*;

#[domain_event]
pub struct Deposited {
    #[serde(skip)]
    pub cents: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

fn main() {}
