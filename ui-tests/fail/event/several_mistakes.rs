// All mistakes are reported together.
use es_runtime::prelude::*;

#[domain_event(vresion = 2, name = "a b")]
pub struct Deposited {
    pub at: chrono::NaiveDateTime,
    #[serde(flatten)]
    pub note: &'static str,
}

fn deposited() -> impl DomainEvent + Clone + std::fmt::Debug {
    let event: Deposited = unreachable!();
    event
}

fn main() {}
