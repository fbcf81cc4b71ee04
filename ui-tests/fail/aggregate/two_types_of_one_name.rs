// Two types of one name need an `as`.
use es_runtime::prelude::*;

mod loans {
    use es_runtime::prelude::*;

    #[domain_event(name = "LoanOpened")]
    pub struct Opened {}
}

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened, loans::Opened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

fn main() {}
