// What is not in the application is told at the command; the second error follows from it.
use es_runtime::prelude::*;
use es_runtime::store::MemoryStore;

#[domain_event]
pub struct Opened {}

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[command_handler]
    fn open(_: Open) -> Opened {
        Opened {}
    }
}

domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open] }
domain! { pub Shop = "shop" }

async fn open(shop: &App<Shop, MemoryStore>) {
    let _ = shop.dispatch(Open { account: Uuid::nil() }).await;
}

fn main() {}
