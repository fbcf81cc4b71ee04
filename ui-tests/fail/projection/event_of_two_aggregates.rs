// Which of two aggregates is meant.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Cash {}

#[aggregate]
impl Cash {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

#[aggregate(name = "loan", id = Uuid, events(Opened))]
pub struct Loan {}

#[aggregate]
impl Loan {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

domain! { pub Money = "money"; aggregates: [Cash, Loan] }

#[projection(name = "balances")]
impl Balance {
    #[async_projection]
    fn opened(&mut self, _: &Recorded<Opened>) {}
}

fn main() {}
