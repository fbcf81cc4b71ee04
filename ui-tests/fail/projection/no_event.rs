// A text is no event.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances")]
impl Balance {
    #[async_projection]
    fn text(&mut self, _: &Recorded<String>) {}
}

fn main() {}
