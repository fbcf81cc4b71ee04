//! What takes either state may return what tells the two apart.
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
pub struct OpenChecked {
    #[id]
    pub account: Uuid,
}

#[command(aggregate = Account)]
pub struct OpenMany {
    #[id]
    pub account: Uuid,
}

#[command(aggregate = Account)]
pub struct OpenAny {
    #[id]
    pub account: Uuid,
}

#[command(aggregate = Account)]
pub struct OpenPair {
    #[id]
    pub account: Uuid,
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
    fn open(this: Option<&Self>, _: Open) -> Option<Opened> {
        this.is_none().then_some(Opened {})
    }

    #[command_handler]
    fn open_checked(this: Option<&Self>, _: OpenChecked) -> Result<Opened, std::fmt::Error> {
        if this.is_none() { Ok(Opened {}) } else { Err(std::fmt::Error) }
    }

    #[command_handler]
    fn open_many(this: Option<&Self>, _: OpenMany) -> Vec<Opened> {
        this.is_none().then_some(Opened {}).into_iter().collect()
    }

    #[command_handler]
    fn open_any(this: Option<&Self>, _: OpenAny) -> AccountEvent {
        this.map_or_else(|| Opened {}.into(), |account| Deposited { cents: account.balance }.into())
    }

    #[command_handler]
    fn open_pair(this: Option<&Self>, _: OpenPair) -> (Option<Opened>, Deposited) {
        (this.is_none().then_some(Opened {}), Deposited { cents: 1 })
    }
}

domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open, OpenChecked, OpenMany, OpenAny, OpenPair] }
