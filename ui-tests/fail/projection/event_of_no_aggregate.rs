// An event is in the list of an aggregate.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[domain_event]
pub struct Lost;

#[projection(name = "balances")]
impl Balance {
    #[async_projection]
    fn lost(&mut self, _: &Recorded<Lost>) {}
}

fn main() {}
