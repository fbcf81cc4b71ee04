// What a handler answers is kept with its receipt.
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

#[command(aggregate = Account)]
pub struct Deposit {
    #[id]
    pub account: Uuid,
    pub cents: i64,
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
}

pub struct Balance(i64);

#[command_handler]
async fn deposit(command: Deposit, _: &mut Existing<Account>) -> Result<Balance, RecordError> {
    Ok(Balance(command.cents))
}

fn main() {}
