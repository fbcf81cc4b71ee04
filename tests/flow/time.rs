//! One time in everything that a command leaves behind, with the precision that logs keep.

use es_runtime::app::Clock;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::on_every_store;

on_every_store! {
    a_handler_sees_the_time_at_which_its_events_are_recorded,
}

#[domain_event]
pub struct Planted {
    at: DateTime<Utc>,
}

#[command(aggregate = Tree)]
pub struct Plant {
    #[id]
    tree: Uuid,
}

#[aggregate(name = "tree", id = Uuid, events(Planted))]
pub struct Tree {
    at: DateTime<Utc>,
}

#[aggregate]
impl Tree {
    #[apply]
    fn planted(event: &Planted) -> Self {
        Self { at: event.at }
    }

    #[command_handler]
    fn plant(_: Plant, context: &Context) -> Planted {
        Planted { at: context.now() }
    }
}

#[read_model(table = "trees")]
pub struct TreeRow {
    #[key]
    tree: Uuid,
    planted: DateTime<Utc>,
    recorded: DateTime<Utc>,
}

#[projection(name = "trees", version = 1)]
impl TreeRow {
    #[sync_projection]
    fn planted(event: &Recorded<Planted>) -> Self {
        Self { tree: event.id_of::<Tree>(), planted: event.at, recorded: event.recorded_at() }
    }
}

#[projection(name = "later_trees", version = 1)]
impl LaterRow {
    #[async_projection]
    fn planted(event: &Recorded<Planted>) -> Self {
        Self { tree: event.id_of::<Tree>(), recorded: event.recorded_at() }
    }
}

#[read_model(table = "later_trees")]
pub struct LaterRow {
    #[key]
    tree: Uuid,
    recorded: DateTime<Utc>,
}

domain! {
    pub Wood = "wood";
    aggregates: [Tree];
    commands: [Plant];
    projections: [TreeRow, LaterRow];
}

/// A clock that shows one time, as finely as it was set.
#[derive(Debug)]
struct Stands(DateTime<Utc>);

impl Clock for Stands {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

async fn a_handler_sees_the_time_at_which_its_events_are_recorded<S: Store>(store: S) {
    let times = [
        ("2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00.999999Z"),
        ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.5Z"),
    ];
    for (shown, kept) in times {
        let (shown, kept): (DateTime<Utc>, DateTime<Utc>) = (shown.parse().unwrap(), kept.parse().unwrap());
        let wood = App::<Wood, _>::builder(store.clone()).clock(Stands(shown)).build().await.unwrap();
        let tree = Uuid::now_v7();
        wood.dispatch(Plant { tree }).await.unwrap();
        let history = wood.history::<Tree>(tree).await.unwrap();
        assert_eq!(history[0].recorded_at(), kept);
        assert_eq!(wood.load::<Tree>(tree).await.unwrap().state().unwrap().at, kept, "what the handler saw");
        wood.caught_up().within_secs(120).await.unwrap();
        let row = wood.table::<TreeRow>().get(&tree).await.unwrap().unwrap();
        assert_eq!((row.planted, row.recorded), (kept, kept));
        let row = wood.table::<LaterRow>().get(&tree).await.unwrap().unwrap();
        assert_eq!(row.recorded, kept);
    }
}
