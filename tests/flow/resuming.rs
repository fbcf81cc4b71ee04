//! Imports that are run again: a repeat costs a look-up, not a load of its aggregate.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::{StreamExt as _, stream};

use crate::counting::{CountingStore, Reads};
use crate::domain::{Deposit, Open, bank, on_every_store};

on_every_store! {
    an_import_that_is_run_again_loads_nothing,
    an_import_that_is_run_again_in_the_same_process_loads_its_aggregate_once_at_most,
    an_import_that_was_cut_off_is_finished_in_order,
    repeats_among_new_commands_load_their_aggregate_seldom,
    a_state_in_the_cache_survives_a_repeat,
    a_state_in_the_cache_survives_repeats_that_come_together,
    a_command_that_is_no_repeat_reads_nothing,
}

#[domain_event]
pub struct Begun {
    pub number: u64,
}

#[domain_event]
pub struct Counted {
    pub number: u64,
}

#[command(aggregate = Tally)]
pub struct Count {
    #[id]
    pub tally: u32,
    pub number: u64,
}

/// Without snapshots: a load reads every event.
#[aggregate(name = "tally", id = u32, events(Begun, Counted))]
pub struct Tally {
    last: u64,
}

#[aggregate]
impl Tally {
    #[apply]
    fn begun(event: &Begun) -> Self {
        Self { last: event.number }
    }

    #[apply]
    fn counted(&mut self, event: &Counted) {
        self.last = event.number;
    }

    #[command_handler]
    fn count(this: Option<&Self>, command: Count) -> TallyEvent {
        let Count { number, .. } = command;
        this.map_or_else(|| Begun { number }.into(), |_| Counted { number }.into())
    }
}

domain! { pub Tallies = "tallies"; aggregates: [Tally]; commands: [Count] }

async fn tallies<S: Store>(store: &CountingStore<S>) -> App<Tallies, CountingStore<S>> {
    App::builder(store.clone()).build().await.unwrap()
}

/// More than one page, so that a load is seen.
const MANY: u64 = 2_500;

/// Enough to see that loads are few.
const FEW: u64 = 800;

/// Imports the numbers into one tally, and returns the numbers whose commands were repeats.
async fn import<S: Store>(app: &App<Tallies, S>, numbers: impl IntoIterator<Item = u64>, in_flight: usize) -> Vec<u64> {
    import_for(app, "", numbers, in_flight).await
}

async fn import_for<S: Store>(
    app: &App<Tallies, S>,
    tenant: &str,
    numbers: impl IntoIterator<Item = u64>,
    in_flight: usize,
) -> Vec<u64> {
    let tenant = tenant.to_owned();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let commands: Vec<Count> = numbers.iter().map(|number| Count { tally: 1, number: *number }).collect();
    let outcomes = app.dispatch_all(stream::iter(commands)).in_flight(in_flight);
    let outcomes = outcomes.options(move |command: &Count, options| {
        options.tenant(tenant.as_str()).idempotency_key(command.number.to_string())
    });
    let outcomes: Vec<_> = outcomes.collect().await;
    assert_eq!(outcomes.len(), numbers.len());
    let repeats = outcomes.into_iter().filter_map(|imported| {
        let number = numbers[usize::try_from(imported.index).unwrap()];
        imported.outcome.unwrap().replayed().then_some(number)
    });
    let mut repeats: Vec<u64> = repeats.collect();
    repeats.sort_unstable();
    repeats
}

async fn counted<S: Store>(app: &App<Tallies, S>) -> Vec<u64> {
    let history = app.history::<Tally>(1).await.unwrap();
    history
        .iter()
        .map(|event| match event.event() {
            TallyEvent::Begun(event) => event.number,
            TallyEvent::Counted(event) => event.number,
        })
        .collect()
}

async fn an_import_that_is_run_again_loads_nothing<S: Store>(store: S) {
    let store = CountingStore::new(store);
    import(&tallies(&store).await, 0..MANY, 256).await;
    for in_flight in [1, 64, 1_024] {
        let app = tallies(&store).await;
        store.reads();
        assert_eq!(import(&app, 0..MANY, in_flight).await, (0..MANY).collect::<Vec<_>>());
        let Reads { events, keys, .. } = store.reads();
        assert_eq!((events, keys), (0, MANY), "with {in_flight} in flight");
    }
    // With snapshots, and a first command that would be refused now.
    let account = Uuid::now_v7();
    let commands = || stream::iter((1..=1_000).map(move |cents| Deposit::of(account, cents)));
    for round in 0..2 {
        let bank = bank(store.clone()).await;
        let opened = bank.dispatch(Open { account, owner: "ann".into() }).idempotency_key("open").await.unwrap();
        store.reads();
        let outcomes =
            bank.dispatch_all(commands()).in_flight(64).idempotency_key(|deposit| format!("deposit-{}", deposit.cents));
        let outcomes: Vec<_> = outcomes.collect().await;
        let repeats = outcomes.into_iter().filter(|imported| imported.outcome.as_ref().unwrap().replayed()).count();
        assert_eq!((opened.replayed(), repeats), (round == 1, round * 1_000));
        let Reads { pages, events, snapshots, .. } = store.reads();
        assert_eq!((pages, events, snapshots), (0, 0, 0));
    }
}

async fn an_import_that_is_run_again_in_the_same_process_loads_its_aggregate_once_at_most<S: Store>(store: S) {
    let store = CountingStore::new(store);
    import(&tallies(&store).await, 0..MANY, 256).await;
    for in_flight in [1, 64, 1_024] {
        let app = tallies(&store).await;
        // The state is in the cache, and the keys are not known to this process.
        app.dispatch(Count { tally: 1, number: 0 }).await.unwrap();
        store.reads();
        assert_eq!(import(&app, 0..MANY, in_flight).await.len() as u64, MANY);
        app.dispatch(Count { tally: 1, number: 0 }).await.unwrap();
        let Reads { events, keys, .. } = store.reads();
        assert!(events <= MANY + 10 && keys <= MANY + 1, "{events} events, {keys} keys with {in_flight} in flight");
    }
}

async fn an_import_that_was_cut_off_is_finished_in_order<S: Store>(store: S) {
    let store = CountingStore::new(store);
    import(&tallies(&store).await, 0..MANY / 2, 256).await;
    for (done, until, in_flight) in [(MANY / 2, MANY * 2 / 3, 64), (MANY * 2 / 3, MANY, 1_024)] {
        let app = tallies(&store).await;
        store.reads();
        assert_eq!(import(&app, 0..until, in_flight).await, (0..done).collect::<Vec<_>>());
        let Reads { events, keys, .. } = store.reads();
        // One load, at the first new command.
        assert!(events <= done && keys <= until + 1, "{events} events, {keys} keys with {in_flight} in flight");
        assert_eq!(counted(&app).await, (0..until).collect::<Vec<_>>());
    }
}

async fn repeats_among_new_commands_load_their_aggregate_seldom<S: Store>(store: S) {
    for (every, in_flight) in [(2, 64), (10, 8), (100, 1_024)] {
        for warm in [false, true] {
            let tenant = format!("{every}-{in_flight}-{warm}");
            let store = CountingStore::new(store.clone());
            import_for(&tallies(&store).await, &tenant, (0..FEW).step_by(every), 256).await;
            let app = tallies(&store).await;
            if warm {
                app.dispatch(Count { tally: 1, number: 0 }).tenant(&tenant).await.unwrap();
            }
            store.reads();
            let repeats = import_for(&app, &tenant, 0..FEW, in_flight).await;
            assert_eq!(repeats, (0..FEW).step_by(every).collect::<Vec<_>>());
            let Reads { events, keys, .. } = store.reads();
            assert!(events <= 20 * FEW && keys <= 2 * FEW, "{events} events, {keys} keys: {tenant}");
        }
    }
}

async fn a_state_in_the_cache_survives_a_repeat<S: Store>(store: S) {
    let store = CountingStore::new(store);
    let app = tallies(&store).await;
    import(&app, 0..20, 1).await;
    store.reads();
    for number in [19, 3, 0] {
        assert_eq!(import(&app, [number], 1).await, [number]);
        app.dispatch(Count { tally: 1, number: 100 + number }).await.unwrap();
    }
    let Reads { pages, keys, .. } = store.reads();
    assert_eq!((pages, keys), (0, 3));
    assert_eq!(counted(&app).await, (0..20).chain([119, 103, 100]).collect::<Vec<_>>());
}

async fn a_state_in_the_cache_survives_repeats_that_come_together<S: Store>(store: S) {
    let store = CountingStore::new(store);
    let app = tallies(&store).await;
    import(&app, 0..20, 1).await;
    store.reads();
    let numbers: Vec<u64> = (20..60).flat_map(|number| [number, number, number]).collect();
    assert_eq!(import(&app, numbers, 64).await.len(), 80);
    let Reads { pages, .. } = store.reads();
    assert_eq!(pages, 0);
    assert_eq!(counted(&app).await, (0..60).collect::<Vec<_>>());
}

async fn a_command_that_is_no_repeat_reads_nothing<S: Store>(store: S) {
    let store = CountingStore::new(store);
    let app = tallies(&store).await;
    import(&app, [0], 1).await;
    assert_eq!(store.reads(), Reads { pages: 1, keys: 1, ..Reads::default() });
    import(&app, 1..100, 1).await;
    import(&app, 100..MANY, 64).await;
    assert_eq!(store.reads(), Reads::default());
}
