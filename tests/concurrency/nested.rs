//! Nested dispatches: a handler that waits for itself, or for one that waits for it, is told so and is not stuck.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use es_runtime::app::Limits;
use es_runtime::prelude::*;
use es_runtime::store::{MemoryStore, Store};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Barrier, Notify};

use crate::domain::on_every_store;

on_every_store! {
    a_handler_that_comes_back_to_its_own_aggregate_is_refused,
    a_marked_dispatch_in_a_spawned_task_is_refused_too,
    an_unmarked_dispatch_in_a_spawned_task_ends_with_the_handlers_timeout,
    handlers_that_would_wait_for_each_other_are_told_so,
    handlers_that_only_meet_at_an_aggregate_are_not_refused,
    nested_dispatches_take_no_permit,
    a_nested_dispatch_waits_for_its_turn_for_a_limited_time,
    a_handler_may_dispatch_to_another_application_with_the_same_streams,
    a_marked_dispatch_that_outlives_its_handler_is_one_like_any_other,
}

#[domain_event]
pub struct Met {}

#[domain_event]
pub struct Visited {}

/// Visits a desk, and goes on from there before it is done.
#[command(aggregate = Desk)]
pub struct Visit {
    #[id]
    pub desk: String,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Dispatches a visit, and waits for it.
    Go(Way, String, Vec<Step>),
    /// Waits until as many handlers as the office says are there.
    Meet,
    /// Waits until the test lets it go.
    Hold,
    /// Dispatches a visit in a task that waits until the test lets it go, and does not wait for it.
    Later(String),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Way {
    Here,
    All,
    Json,
    Marked,
    Unmarked,
    Elsewhere,
}

#[aggregate(name = "desk", id = String, events(Met, Visited))]
pub struct Desk {
    visits: u32,
}

#[aggregate]
impl Desk {
    #[apply]
    fn met(_: &Met) -> Self {
        Self { visits: 1 }
    }

    #[apply]
    fn visited(&mut self, _: &Visited) {
        self.visits += 1;
    }
}

#[derive(Debug, thiserror::Error)]
pub enum NotVisited {
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The kind and the message of the first error, however deep.
    #[error("{0}: {1}")]
    Inner(String, String),
}

impl From<DispatchError<NotVisited>> for NotVisited {
    fn from(error: DispatchError<NotVisited>) -> Self {
        match error {
            DispatchError::Domain(inner) => inner,
            other => Self::Inner(other.kind().to_owned(), other.to_string()),
        }
    }
}

impl NotVisited {
    fn kind(&self) -> &str {
        match self {
            Self::Record(_) => "record",
            Self::Inner(kind, _) => kind,
        }
    }
}

/// What handlers dispatch with: an application on any store.
pub trait Office: Send + Sync + 'static {
    fn visit(&self, way: Way, visit: Visit, context: &Context) -> BoxFuture<'static, Result<(), NotVisited>>;
    fn meet(&self) -> BoxFuture<'_, ()>;
    fn hold(&self) -> BoxFuture<'_, ()>;
    fn later(&self, visit: Visit, context: &Context);
}

impl Dependency for dyn Office {}

#[command_handler]
pub async fn visit(
    command: Visit,
    desk: &mut Root<Desk>,
    office: Dep<dyn Office>,
    context: &Context,
) -> Result<(), NotVisited> {
    for step in command.steps {
        match step {
            Step::Go(way, desk, steps) => office.visit(way, Visit { desk, steps }, context).await?,
            Step::Meet => office.meet().await,
            Step::Hold => office.hold().await,
            Step::Later(desk) => office.later(Visit { desk, steps: Vec::new() }, context),
        }
    }
    match desk.state() {
        None => desk.record(Met {})?,
        Some(_) => desk.record(Visited {})?,
    }
    Ok(())
}

domain! { pub Offices = "offices"; aggregates: [Desk]; commands: [Visit] }

/// A visit in a task of its own.
type Visiting = tokio::task::JoinHandle<Result<(), NotVisited>>;

struct Rooms<S> {
    app: OnceLock<App<Offices, S>>,
    elsewhere: OnceLock<App<Offices, MemoryStore>>,
    barrier: Barrier,
    held: Arc<Notify>,
    /// Says that a held handler is there.
    holds: Arc<Notify>,
    later: Arc<Notify>,
    visited_later: Arc<std::sync::Mutex<Vec<Visiting>>>,
}

impl<S: Store> Office for Rooms<S> {
    fn visit(&self, way: Way, visit: Visit, context: &Context) -> BoxFuture<'static, Result<(), NotVisited>> {
        let (app, elsewhere) = (self.app.get().unwrap().clone(), self.elsewhere.get().cloned());
        let context = context.clone();
        async move {
            match way {
                Way::Here => drop(app.dispatch(visit).await?),
                Way::All => {
                    let mut outcomes = app.dispatch_all(stream::iter([visit]));
                    drop(outcomes.next().await.unwrap().outcome?);
                }
                Way::Json => {
                    let visit = serde_json::to_value(visit).unwrap();
                    let outcome = app.dispatch_json("Visit", visit).await;
                    outcome.map_err(|error| NotVisited::Inner(error.kind().to_owned(), error.to_string()))?;
                }
                Way::Marked => drop(spawned(async move { app.dispatch(visit).within(&context).await }).await?),
                Way::Unmarked => drop(spawned(async move { app.dispatch(visit).await }).await?),
                Way::Elsewhere => drop(elsewhere.unwrap().dispatch(visit).await?),
            }
            Ok(())
        }
        .boxed()
    }

    fn meet(&self) -> BoxFuture<'_, ()> {
        self.barrier.wait().map(drop).boxed()
    }

    fn hold(&self) -> BoxFuture<'_, ()> {
        self.holds.notify_one();
        self.held.notified().boxed()
    }

    fn later(&self, visit: Visit, context: &Context) {
        let (app, context, later) = (self.app.get().unwrap().clone(), context.clone(), Arc::clone(&self.later));
        let task = tokio::spawn(async move {
            later.notified().await;
            app.dispatch(visit).within(&context).await.map(drop).map_err(NotVisited::from)
        });
        self.visited_later.lock().unwrap().push(task);
    }
}

async fn spawned<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(work).await.unwrap()
}

/// Builds the application whose handlers meet in groups of this size.
async fn office<S: Store>(store: S, meet: usize, limits: impl FnOnce(&mut Limits)) -> (App<Offices, S>, Arc<Rooms<S>>) {
    let rooms = Arc::new(Rooms {
        app: OnceLock::new(),
        elsewhere: OnceLock::new(),
        barrier: Barrier::new(meet),
        held: Arc::default(),
        holds: Arc::default(),
        later: Arc::default(),
        visited_later: Arc::default(),
    });
    let shared: Arc<dyn Office> = Arc::<Rooms<S>>::clone(&rooms);
    let app = App::<Offices, _>::builder(store).shared_dependency(shared).limits(limits).build().await.unwrap();
    rooms.app.set(app.clone()).ok().unwrap();
    (app, rooms)
}

fn go(way: Way, desk: &str, steps: Vec<Step>) -> Step {
    Step::Go(way, desk.to_owned(), steps)
}

fn to(desk: &str, steps: Vec<Step>) -> Visit {
    Visit { desk: desk.to_owned(), steps }
}

/// Nothing here may take as long.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(50), work).await.expect("it hangs")
}

async fn visits<S: Store>(app: &App<Offices, S>, desk: &str) -> u64 {
    app.load::<Desk>(desk.to_owned()).await.unwrap().version().get()
}

async fn a_handler_that_comes_back_to_its_own_aggregate_is_refused<S: Store>(store: S) {
    let (app, _rooms) = office(store, 1, |_| ()).await;
    for way in [Way::Here, Way::All, Way::Json] {
        let back = || go(way, "x", vec![]);
        let within = |steps| in_time(app.dispatch(to("x", steps)).into_future());
        let error = within(vec![back()]).await.unwrap_err().to_string();
        let itself = "a handler of `desk/x` dispatched to `desk/x` itself";
        assert!(error.contains(&format!("{itself}; nothing of that dispatch was stored")), "{error}");
        let error = within(vec![go(way, "y", vec![back()])]).await.unwrap_err().to_string();
        assert!(error.contains(&format!("{itself}, through `desk/y`;")), "{error}");
        let error = within(vec![go(way, "y", vec![go(way, "z", vec![back()])])]).await.unwrap_err().to_string();
        assert!(error.contains(&format!("{itself}, through `desk/y` and `desk/z`;")), "{error}");
        // From the middle.
        let error = within(vec![go(way, "y", vec![go(way, "z", vec![go(way, "y", vec![])])])]).await.unwrap_err();
        assert!(error.to_string().contains("`desk/y` dispatched to `desk/y` itself, through `desk/z`;"), "{error}");
    }
    assert_eq!(app.event_count().await.unwrap(), 0);
    app.dispatch(to("x", vec![go(Way::Here, "y", vec![]), go(Way::All, "y", vec![])])).await.unwrap();
    assert_eq!((visits(&app, "x").await, visits(&app, "y").await), (1, 2));
}

async fn a_marked_dispatch_in_a_spawned_task_is_refused_too<S: Store>(store: S) {
    let (app, _rooms) = office(store, 1, |_| ()).await;
    let steps = vec![go(Way::Marked, "x", vec![])];
    let error = in_time(app.dispatch(to("x", steps)).into_future()).await.unwrap_err();
    assert_eq!(error.domain().unwrap().kind(), "within_itself");
    let steps = vec![go(Way::Marked, "y", vec![go(Way::Marked, "x", vec![])])];
    let error = in_time(app.dispatch(to("x", steps)).into_future()).await.unwrap_err();
    assert!(error.to_string().contains("itself, through `desk/y`"), "{error}");
    app.dispatch(to("x", vec![go(Way::Marked, "y", vec![])])).await.unwrap();
    assert_eq!((visits(&app, "x").await, visits(&app, "y").await), (1, 1));
}

async fn an_unmarked_dispatch_in_a_spawned_task_ends_with_the_handlers_timeout<S: Store>(store: S) {
    let (app, _rooms) = office(store, 1, |limits| limits.handler_timeout = Duration::from_millis(100)).await;
    let steps = vec![go(Way::Unmarked, "x", vec![])];
    let error = in_time(app.dispatch(to("x", steps)).into_future()).await.unwrap_err();
    let text = "the handler of `Visit` on `desk/x` took longer than 100ms; nothing was stored";
    assert_eq!((error.kind(), error.to_string()), ("handler_timed_out", text.to_owned()));
    // The other one has its turn now, and those after it too.
    in_time(app.dispatch(to("x", vec![])).into_future()).await.unwrap();
    assert_eq!(visits(&app, "x").await, 2);
}

async fn handlers_that_would_wait_for_each_other_are_told_so<S: Store>(store: S) {
    for way in [Way::Here, Way::Marked] {
        for desks in [&["m", "n"][..], &["a", "b", "c"][..]] {
            let (app, _rooms) = office(store.clone(), desks.len(), |_| ()).await;
            for _ in 0..20 {
                let visits = desks.iter().enumerate().map(|(index, desk)| {
                    let next = desks[(index + 1) % desks.len()];
                    // The wait may begin deeper, too.
                    let way_on = vec![Step::Meet, go(way, &format!("{desk}-{next}"), vec![go(way, next, vec![])])];
                    app.dispatch(to(desk, way_on)).into_future()
                });
                let outcomes = in_time(futures_util::future::join_all(visits)).await;
                let errors: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
                assert_eq!(errors.len(), 1, "{outcomes:?}");
                let error = errors[0].domain().unwrap();
                assert_eq!(error.kind(), "mutual_wait", "{error}");
                let text = error.to_string();
                assert!(desks.iter().all(|desk| text.contains(&format!("`desk/{desk}`"))), "{text}");
            }
        }
    }
}

async fn handlers_that_only_meet_at_an_aggregate_are_not_refused<S: Store>(store: S) {
    let (app, _rooms) = office(store, 2, |_| ()).await;
    for round in 0..20 {
        let to_hub = |desk: &str| vec![Step::Meet, go(Way::Here, "hub", vec![go(Way::Here, desk, vec![])])];
        let (m, n) = (to("m", to_hub("p")), to("n", to_hub("p")));
        let (m, n) = futures_util::future::join(app.dispatch(m).into_future(), app.dispatch(n).into_future()).await;
        m.unwrap();
        n.unwrap();
        assert_eq!(visits(&app, "hub").await, 2 * (round + 1));
    }
}

async fn nested_dispatches_take_no_permit<S: Store>(store: S) {
    for in_flight in [1, 2, 3] {
        let (app, _rooms) = office(store.clone(), in_flight, |limits| limits.in_flight = in_flight).await;
        let visits = (0..in_flight).map(|index| {
            let steps =
                vec![Step::Meet, go(Way::Marked, &format!("inner-{index}"), vec![go(Way::Here, "deep", vec![])])];
            app.dispatch(to(&format!("outer-{index}"), steps)).into_future()
        });
        for outcome in in_time(futures_util::future::join_all(visits)).await {
            outcome.unwrap();
        }
    }
}

async fn a_nested_dispatch_waits_for_its_turn_for_a_limited_time<S: Store>(store: S) {
    let (app, rooms) = office(store, 1, |limits| limits.turn_timeout = Duration::from_millis(100)).await;
    let held = tokio::spawn(app.dispatch(to("n", vec![Step::Hold])).into_future());
    in_time(rooms.holds.notified()).await;
    let error = in_time(app.dispatch(to("m", vec![go(Way::Here, "n", vec![])])).into_future()).await.unwrap_err();
    let text = "a handler of `desk/m` waited 100ms for the turn of `desk/n`; nothing of that dispatch was stored";
    assert_eq!(error.to_string(), format!("turn_timed_out: {text}"));
    rooms.held.notify_one();
    in_time(held).await.unwrap().unwrap();
    in_time(app.dispatch(to("m", vec![go(Way::Here, "n", vec![])])).into_future()).await.unwrap();
    assert_eq!((visits(&app, "m").await, visits(&app, "n").await), (1, 2));
}

async fn a_handler_may_dispatch_to_another_application_with_the_same_streams<S: Store>(store: S) {
    let (app, rooms) = office(store, 1, |_| ()).await;
    let (elsewhere, _other_rooms) = office(MemoryStore::new(), 1, |_| ()).await;
    rooms.elsewhere.set(elsewhere.clone()).ok().unwrap();
    in_time(app.dispatch(to("x", vec![go(Way::Elsewhere, "x", vec![])])).into_future()).await.unwrap();
    assert_eq!((visits(&app, "x").await, visits(&elsewhere, "x").await), (1, 1));
}

async fn a_marked_dispatch_that_outlives_its_handler_is_one_like_any_other<S: Store>(store: S) {
    let (app, rooms) = office(store, 1, |_| ()).await;
    app.dispatch(to("x", vec![Step::Later("x".to_owned())])).await.unwrap();
    rooms.later.notify_one();
    let task = rooms.visited_later.lock().unwrap().pop().unwrap();
    in_time(task).await.unwrap().unwrap();
    assert_eq!(visits(&app, "x").await, 2);
}
