//! Everything in one aggregate, as the tutorial has it.
use es_runtime::prelude::*;

#[es_runtime::domain_event]
pub struct Opened {
    pub owner: String,
}

#[es_runtime::command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
    pub owner: String,
}

#[es_runtime::aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Account {}

#[es_runtime::aggregate]
impl Account {
    #[es_runtime::apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[es_runtime::command_handler]
    fn open(command: Open) -> Opened {
        Opened { owner: command.owner }
    }
}

es_runtime::domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open] }
