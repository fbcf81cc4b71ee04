// A command is dispatched to an application that contains it.
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
pub struct Open {
    #[id]
    pub account: Uuid,
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

    #[command_handler]
    fn open(_: Open) -> Opened {
        Opened {}
    }
}

#[aggregate]
impl Account {
    #[command_handler]
    fn deposit(&self, command: Deposit) -> Deposited {
        Deposited { cents: command.cents }
    }
}

domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open, Deposit] }
domain! { pub Shop = "shop" }

fn dispatch<D, C: CommandOf<D, P>, P>(_: D, _: C) {}

fn main() {
    dispatch(Bank, Open { account: Uuid::nil() });
    dispatch(Shop, Open { account: Uuid::nil() });
    dispatch(Bank, "open");
}
