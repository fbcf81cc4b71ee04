// All mistakes are reported together.
use es_runtime::prelude::*;

#[domain_event(vresion = 2, name = "a b")]
pub struct Deposited {
    pub at: chrono::NaiveDateTime,
    #[serde(flatten)]
    pub note: &'static str,
}

fn deposited(event: &Deposited) -> impl DomainEvent + std::fmt::Debug {
    println!("{event:?}");
    event.clone()
}

fn main() {}
