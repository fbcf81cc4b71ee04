// A handler handles commands of its own aggregate.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[domain_event]
pub struct Deposited {
    pub cents: i64,
}

#[aggregate(name = "account", id = Uuid, events(Opened, Deposited))]
pub struct Account {
    balance: i64,
}

#[domain_event]
pub struct Issued {}

#[aggregate(name = "card", id = Uuid, events(Issued))]
pub struct Card {}

#[aggregate]
impl Card {
    #[apply]
    fn issued(_: &Issued) -> Self {
        Self {}
    }
}

#[command(aggregate = Card)]
pub struct Block {
    #[id]
    pub card: Uuid,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { balance: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.cents;
    }

    #[command_handler]
    fn block(_: Block) -> Opened {
        Opened {}
    }
}

fn main() {}
