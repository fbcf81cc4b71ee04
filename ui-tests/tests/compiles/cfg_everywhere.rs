//! What is configured away is away for the generated code too.
#![deny(warnings)]
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    #[cfg(any())]
    #[claim("owner")]
    pub owner: Missing,
    #[cfg(not(any()))]
    pub name: String,
}

#[value_object]
pub struct Money {
    cents: i64,
    #[cfg(any())]
    currency: Missing,
}

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
    #[cfg(any())]
    pub owner: Missing,
}

#[cfg(any())]
#[command(aggregate = Account)]
pub struct Close {
    #[id]
    pub account: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(
    Opened,
    #[cfg(any())]
    Closed,
))]
pub struct Account {
    #[cfg(any())]
    owner: Missing,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[cfg(any())]
    #[apply]
    fn closed(&mut self, _: &Closed) {}

    #[command_handler]
    fn open(_: Open) -> Opened {
        Opened { name: String::new() }
    }

    #[cfg(any())]
    #[command_handler]
    fn close(&self, _: Close) -> Closed {
        Closed
    }
}

#[cfg(any())]
#[command_handler]
async fn close(_: Close, account: &mut Existing<Account>) -> Result<(), RecordError> {
    account.record(Closed)
}

#[read_model(table = "names")]
pub struct Name {
    #[cfg(any())]
    pub card: Card,
    #[key]
    pub account: Uuid,
    #[cfg(any())]
    #[json]
    pub cards: Vec<Card>,
    #[cfg(not(any()))]
    pub name: String,
}

#[projection(name = "names")]
impl Name {
    #[async_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), name: event.name.clone() }
    }

    #[cfg(any())]
    #[async_projection]
    fn closed(&mut self, _: &Recorded<Nothing>) {}
}

#[query(output = String)]
pub struct NameOf {
    pub account: Uuid,
    #[cfg(any())]
    pub card: Card,
}

#[query_handler]
async fn name_of(_: NameOf, _: &Table<Name>) -> Result<String, ReadModelError> {
    Ok(String::new())
}

#[cfg(any())]
#[query_handler]
async fn nothing(_: Nothing) -> Result<(), Nothing> {
    Ok(())
}

domain! {
    pub Bank = "bank";
    aggregates: [Account, #[cfg(any())] Card];
    commands: [Open, #[cfg(any())] Close];
    queries: [#[cfg(not(any()))] NameOf, #[cfg(any())] Nothing];
    projections: [#[cfg(not(any()))] Name, #[cfg(any())] Nothing];
    domains: [#[cfg(any())] Cards];
}

#[test]
fn compiles() {
    assert_eq!(Money::new(1).cents(), &1);
    assert_eq!(format!("{:?} {:?}", Name::ACCOUNT, Name::NAME), "ColumnOf(0) ColumnOf(1)");
    let _ = NameOf { account: Uuid::nil() };
}
