//! Orchestrating handlers: several steps on a root, a look at others, and what they must not do.

use std::sync::OnceLock;

use es_runtime::prelude::*;

#[domain_event]
pub struct Made {
    pub amount: i64,
}

#[domain_event]
pub struct Added {
    pub amount: i64,
}

#[command(aggregate = Jar)]
pub struct Make {
    #[id]
    pub jar: String,
    pub amount: i64,
}

#[command(aggregate = Jar)]
pub struct Add {
    #[id]
    pub jar: String,
    pub amount: i64,
}

/// Makes the jar if need be, and adds twice.
#[command(aggregate = Jar)]
pub struct Fill {
    #[id]
    pub jar: String,
    pub amount: i64,
}

/// Adds what is in another jar.
#[command(aggregate = Jar)]
pub struct Copy {
    #[id]
    pub jar: String,
    pub from: String,
}

/// Adds to a jar by dispatching, to itself or to another.
#[command(aggregate = Jar)]
pub struct Pour {
    #[id]
    pub jar: String,
    pub into: String,
}

#[aggregate(name = "jar", id = String, events(Made, Added))]
pub struct Jar {
    amount: i64,
}

#[aggregate]
impl Jar {
    #[apply]
    fn made(event: &Made) -> Self {
        Self { amount: event.amount }
    }

    #[apply]
    fn added(&mut self, event: &Added) {
        self.amount += event.amount;
    }

    #[command_handler]
    fn make(command: Make) -> Made {
        Made { amount: command.amount }
    }

    #[command_handler]
    fn add(&self, command: Add) -> Added {
        Added { amount: command.amount }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Rejected(#[from] Rejection<std::convert::Infallible>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("pouring failed: {0}")]
    Pouring(String),
}

#[command_handler]
pub async fn fill(command: Fill, jar: &mut Root<Jar>) -> Result<i64, NotDone> {
    let Fill { jar: id, amount } = command;
    if jar.state().is_none() {
        jar.handle(Make { jar: id.clone(), amount: 0 })?;
    }
    jar.record(Added { amount })?;
    jar.handle(Add { jar: id, amount })?;
    Ok(jar.state().map_or(0, |jar| jar.amount))
}

#[command_handler(queries = "what is copied is another jar's, and nobody is harmed if it changes meanwhile")]
pub async fn copy(command: Copy, jar: &mut Existing<Jar>, queries: Queries) -> Result<(), NotDone> {
    let from = queries.load::<Jar>(&command.from).await?;
    jar.record(Added { amount: from.state().map_or(0, |jar| jar.amount) })?;
    Ok(())
}

#[derive(Default)]
pub struct Kitchen(OnceLock<App<Jars, MemoryStore>>);

impl Dependency for Kitchen {}

#[command_handler]
pub async fn pour(command: Pour, jar: &mut Existing<Jar>, kitchen: Dep<Kitchen>) -> Result<(), NotDone> {
    let app = kitchen.0.get().unwrap();
    let add = Add { jar: command.into, amount: jar.amount };
    app.dispatch(add).await.map_err(|error| NotDone::Pouring(error.to_string()))?;
    jar.record(Added { amount: -jar.amount })?;
    Ok(())
}

domain! { pub Jars = "jars"; aggregates: [Jar]; commands: [Make, Add, Fill, Copy, Pour] }

async fn jars() -> App<Jars, MemoryStore> {
    let kitchen = std::sync::Arc::new(Kitchen::default());
    let shared = std::sync::Arc::clone(&kitchen);
    let app = App::<Jars, _>::builder(MemoryStore::new()).shared_dependency(shared).build().await.unwrap();
    kitchen.0.set(app.clone()).ok().unwrap();
    app
}

async fn amount(app: &App<Jars, MemoryStore>, jar: &str, tenant: &str) -> i64 {
    app.load::<Jar>(jar.to_owned()).tenant(tenant).await.unwrap().state().unwrap().amount
}

#[tokio::test]
async fn several_steps_on_a_root_are_one_commit() {
    let app = jars().await;
    let receipt = app.dispatch(Fill { jar: "a".into(), amount: 3 }).await.unwrap();
    assert_eq!((*receipt.output(), receipt.version().get(), receipt.events().len()), (6, 3, 3));
    let receipt = app.dispatch(Fill { jar: "a".into(), amount: 1 }).await.unwrap();
    assert_eq!((*receipt.output(), receipt.version().get()), (8, 5));
}

#[tokio::test]
async fn a_handler_with_a_reason_looks_at_its_own_tenant() {
    let app = jars().await;
    for (tenant, amount) in [("", 1), ("b", 20)] {
        app.dispatch(Make { jar: "from".into(), amount }).tenant(tenant).await.unwrap();
        app.dispatch(Make { jar: "to".into(), amount: 0 }).tenant(tenant).await.unwrap();
        app.dispatch(Copy { jar: "to".into(), from: "from".into() }).tenant(tenant).await.unwrap();
    }
    assert_eq!((amount(&app, "to", "").await, amount(&app, "to", "b").await), (1, 20));
    let reason = Jars::describe().commands[3].handler.queries.unwrap();
    assert!(reason.starts_with("what is copied"), "{reason}");
}

#[tokio::test]
async fn a_handler_that_dispatches_to_its_own_aggregate_is_refused_and_not_stuck() {
    let app = jars().await;
    app.dispatch(Make { jar: "a".into(), amount: 5 }).await.unwrap();
    app.dispatch(Make { jar: "b".into(), amount: 0 }).await.unwrap();
    app.dispatch(Pour { jar: "a".into(), into: "b".into() }).await.unwrap();
    assert_eq!((amount(&app, "a", "").await, amount(&app, "b", "").await), (0, 5));
    let error = app.dispatch(Pour { jar: "b".into(), into: "b".into() }).await.unwrap_err();
    let text = "pouring failed: a handler of `jar/b` dispatched to `jar/b` itself; nothing of that dispatch was stored";
    assert_eq!(error.to_string(), text);
    assert_eq!(amount(&app, "b", "").await, 5);
}
