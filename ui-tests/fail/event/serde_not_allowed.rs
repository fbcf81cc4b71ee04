// An attribute that is not known to keep what is stored is refused by its name.

use es_runtime::domain_event;

#[domain_event]
#[serde(bound = "")]
#[serde(rename_all(serialize = "camelCase"))]
pub struct Deposited {
    #[serde(getter = "Deposited::cents")]
    pub cents: i64,
    #[cfg_attr(debug_assertions, serde(skip))]
    pub note: String,
}

fn main() {}
