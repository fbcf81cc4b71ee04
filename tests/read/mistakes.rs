//! Mistakes in projections: what becomes of them, and what keeps them small.

use es_runtime::error::DispatchError;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use super::domain::{Bank, Core, Open, Opened, Withdraw, Withdrawn};
use crate::domain::on_every_store;

on_every_store! {
    a_row_that_is_not_there_or_is_there_already_puts_the_event_aside_with_its_key,
    projections_of_a_commit_run_by_priority_and_then_by_name,
    functions_on_one_event_run_by_priority,
}

/// Takes for granted what it should not.
#[read_model(table = "naive")]
pub struct Naive {
    #[key]
    pub owner: String,
}

#[projection(name = "naive", version = 1)]
impl Naive {
    #[async_projection(key = |event| event.owner.clone())]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { owner: event.owner.clone() }
    }

    #[async_projection(key = |event| event.cents.to_string())]
    fn withdrawn(&mut self, _: &Recorded<Withdrawn>) {}
}

domain! { pub Naively = "naively"; domains: [Core]; projections: [Naive] }

async fn open<D, S, Path>(app: &App<D, S>, owner: &str) -> Result<Uuid, DispatchError<std::convert::Infallible>>
where
    D: es_runtime::app::DomainOn<S>,
    S: Store,
    Open: CommandOf<D, Path, Output = (), Error = std::convert::Infallible>,
{
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: owner.to_owned(), branch: 1 }).await?;
    Ok(account)
}

async fn a_row_that_is_not_there_or_is_there_already_puts_the_event_aside_with_its_key<S: Store>(store: S) {
    let app: App<Naively, S> = App::builder(store).build().await.unwrap();
    let account = open(&app, "ann").await.unwrap();
    open(&app, "ann").await.unwrap();
    app.dispatch(Withdraw { account, cents: 5 }).await.unwrap();
    app.caught_up().await.unwrap();
    let letters = app.subscriptions().letters("naive", None, 10).await.unwrap();
    let letters: Vec<_> = letters.into_iter().map(|letter| letter.letter).collect();
    assert_eq!(letters.iter().map(|letter| letter.key.as_str()).collect::<Vec<_>>(), [r#"["","ann"]"#, r#"["","5"]"#]);
    let cause = |place: usize| letters[place].cause.as_deref().unwrap();
    assert!(
        cause(0).starts_with(r#"`opened` inserts a row into `naive` that exists already: ["","ann"]"#),
        "{letters:?}"
    );
    assert!(
        cause(1).starts_with(r#"`withdrawn` changes a row of `naive` that does not exist: ["","5"]"#),
        "{letters:?}"
    );
    assert_eq!(app.table::<Naive>().count().await.unwrap(), 1);
}

/// Declares a projection that panics where the owner's name contains its own.
macro_rules! fragile {
    ($row:ident, $name:literal, $priority:literal) => {
        #[read_model(table = $name)]
        pub struct $row {
            #[key]
            pub account: Uuid,
        }

        #[projection(name = $name, version = 1)]
        impl $row {
            #[sync_projection(priority = $priority)]
            fn opened(event: &Recorded<Opened>) -> Self {
                assert!(!event.owner.contains($name), "a bug");
                Self { account: event.id_of::<super::domain::Account>() }
            }
        }
    };
}

fragile!(Alpha, "alpha", 2);
fragile!(Beta, "beta", 1);
fragile!(Gamma, "gamma", 1);

domain! { pub Ordered = "ordered"; domains: [Core]; projections: [Gamma, Alpha, Beta] }

async fn projections_of_a_commit_run_by_priority_and_then_by_name<S: Store>(store: S) {
    let app: App<Ordered, S> = App::builder(store).build().await.unwrap();
    for (owner, first) in [("alpha beta gamma", "beta"), ("alpha gamma", "gamma"), ("alpha", "alpha")] {
        match open(&app, owner).await {
            Err(DispatchError::SyncProjectionFailed { projection, .. }) => assert_eq!(projection, first, "{owner}"),
            other => panic!("{owner}: {other:?}"),
        }
    }
    open(&app, "ann").await.unwrap();
    assert_eq!(app.event_count().await.unwrap(), 1);
}

#[test]
fn the_synchronous_share_is_counted() {
    assert_eq!(Bank::describe().synchronous_share(), (3, 9));
    let map = Bank::map().to_string();
    assert_eq!((map.matches("==>").count(), map.matches("-.->").count()), (3, 6), "{map}");
}

/// Two functions on one event and one row: the second one written runs first.
#[read_model(table = "steps")]
pub struct Steps {
    #[key]
    pub owner: String,
    pub steps: String,
}

#[projection(name = "steps", version = 1)]
impl Steps {
    #[sync_projection(priority = 7, key = |event| event.owner.clone())]
    fn last(&mut self, _: &Recorded<Opened>) {
        self.steps.push_str("last");
    }

    #[sync_projection(priority = 3, key = |event| event.owner.clone())]
    fn first(event: &Recorded<Opened>) -> Self {
        Self { owner: event.owner.clone(), steps: "first ".to_owned() }
    }
}

domain! { pub Stepping = "stepping"; domains: [Core]; projections: [Steps] }

async fn functions_on_one_event_run_by_priority<S: Store>(store: S) {
    let app: App<Stepping, S> = App::builder(store).build().await.unwrap();
    open(&app, "ann").await.unwrap();
    assert_eq!(app.table::<Steps>().list().await.unwrap()[0].steps, "first last");
}
