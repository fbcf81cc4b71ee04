// A handler decides from its own aggregate.
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

#[command_handler]
async fn deposit(command: Deposit, account: &mut Existing<Account>, queries: Queries) -> Result<(), RecordError> {
    account.record(Deposited { cents: command.cents })
}

fn main() {}
