//! The same with programs that are processes: killed and stopped at any moment, while subscriptions are paused and go on.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use es_runtime::app::{DomainOn, Visibility};
use es_runtime::prelude::*;
use es_runtime::store::{EventStore as _, ProjectionVersion, Store, SubscriptionStatus, VersionState};

use super::{Begin, Book, BookV2, PAGES, Page, PageV2, Pens, Write, step, truth};
use crate::place::{Place, at_every_place, at_the_parents_place, tell};
use crate::random::Random;
use crate::read::child::{LEASE, Running, signal};

at_every_place! {
    what_is_served_is_the_fold_of_the_log_through_kills_and_pauses,
}

const SEED: &str = "ES_TEST_SEED";
const PROGRAM: &str = "ES_TEST_PROGRAM";

/// What a process is: with a version of the projection or without, with workers or without.
const PROGRAMS: [&str; 5] = ["old", "old without workers", "plain", "new", "new without workers"];
/// How many of them there are before the new version.
const OLD_PROGRAMS: u64 = 3;

fn start(place: &impl Place, seed: u64, program: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["read::shared_rows::killed::writer", "--exact", "--ignored", "--nocapture"]);
    tell(place, &mut command);
    command.env(SEED, seed.to_string()).env(PROGRAM, program).stdout(Stdio::null());
    Running(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child process"]
async fn writer() {
    at_the_parents_place!(write_at);
}

/// Writes until it is killed. Ends by itself where the store no longer takes a program of its version.
async fn write_at(place: impl Place) {
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let program = std::env::var(PROGRAM).unwrap();
    let store = place.open().await;
    let mut random = Random::new(seed);
    let mut lines = seed * 1_000_000..;
    if program == "plain" {
        let app: App<Pens, _> = App::builder(store).build().await.unwrap();
        loop {
            let (pen, page) = (random.below(4).to_string(), random.below(PAGES).to_string());
            let _ = match random.below(60) {
                0 => app.dispatch(Begin { pen, page }).await.map(drop),
                _ => app.dispatch(Write { pen, page, line: lines.next().unwrap() }).await.map(drop),
            };
            tokio::time::sleep(Duration::from_millis(random.below(3))).await;
        }
    }
    let with_workers = !program.ends_with("without workers");
    if program.starts_with("old") {
        let Some(app) = build::<Book, _>(store, with_workers).await else { return };
        loop {
            step!(&app, Page, &mut random, lines.next().unwrap());
        }
    }
    let app = build::<BookV2, _>(store, with_workers).await.expect("it is the newest version");
    loop {
        step!(&app, PageV2, &mut random, lines.next().unwrap());
    }
}

async fn build<D: DomainOn<S>, S: Store>(store: S, with_workers: bool) -> Option<App<D, S>> {
    let builder = App::<D, S>::builder(store).subscriptions(|options| options.lease_timeout = LEASE);
    if with_workers { builder.build().await.ok() } else { builder.without_workers().build().await.ok() }
}

async fn what_is_served_is_the_fold_of_the_log_through_kills_and_pauses<P: Place>() {
    for seed in 0..if P::KIND == "sqlite" { 4 } else { 3 } {
        let home = P::new();
        let mut random = Random::new(seed);
        let plain: App<Pens, _> = App::builder(home.open().await).build().await.unwrap();
        // The first page is begun some time, or never: until then what is written there is put aside.
        for page in 1..PAGES {
            plain.dispatch(Begin { pen: "first".into(), page: page.to_string() }).await.unwrap();
        }
        for round in 0..3 {
            trouble(&home, &plain, &mut random, round).await;
            if round == 0 {
                serves_the_fold(build::<Book, _>(home.open().await, true).await.unwrap(), &plain, 1).await;
            } else {
                serves_the_fold(build::<BookV2, _>(home.open().await, true).await.unwrap(), &plain, 2).await;
            }
        }
        assert!(plain.store().head().await.unwrap().get() > 100, "they wrote next to nothing");
    }
}

/// Lets some programs write while all kinds of trouble comes over them.
async fn trouble<P: Place>(home: &P, plain: &App<Pens, P::Store>, random: &mut Random, round: u64) {
    let kinds = if round == 0 { OLD_PROGRAMS } else { PROGRAMS.len() as u64 };
    let next = |random: &mut Random| {
        let (seed, program) = (random.below(1_000_000_000), random.below(kinds));
        start(home, seed, PROGRAMS[usize::try_from(program).unwrap()])
    };
    let mut children: Vec<Running> = (0..3).map(|_| next(random)).collect();
    let store = plain.store();
    for _ in 0..5 {
        let pause = Duration::from_millis(random.below(400));
        tokio::time::sleep(pause).await;
        let place = usize::try_from(random.below(3)).unwrap();
        match random.below(4) {
            0 => {
                children[place].0.kill().unwrap();
                ended(&mut children[place]);
                children[place] = next(random);
            }
            1 => {
                signal("STOP", children[place].0.id());
                tokio::time::sleep(LEASE.mul_f64(0.1 * f64::from(u32::try_from(random.below(20)).unwrap()))).await;
                signal("CONT", children[place].0.id());
            }
            2 => set(store, &SubscriptionStatus::Paused).await,
            _ => set(store, &SubscriptionStatus::Running).await,
        }
    }
    for child in &mut children {
        child.0.kill().unwrap();
        ended(child);
    }
    set(store, &SubscriptionStatus::Running).await;
}

/// Waits until a process has ended, which it did by a kill, or because there was nothing to do for it.
fn ended(child: &mut Running) {
    let status = child.0.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "a program failed: {status}; see its words above");
}

/// Pauses every version, or lets it go on.
async fn set(store: &impl Store, status: &SubscriptionStatus) {
    for known in store.projections().await.unwrap() {
        // It may be dropped in between.
        let _ = store.set_status(&known.name, known.version, None, status.clone()).await;
    }
}

/// What is on each page, as a version serves it.
trait Pages {
    async fn pages(&self) -> std::collections::BTreeMap<String, Vec<u64>>;
}

impl<S: Store> Pages for App<Book, S> {
    async fn pages(&self) -> std::collections::BTreeMap<String, Vec<u64>> {
        let rows = self.table::<Page>().list().await.unwrap();
        rows.into_iter().map(|row| (row.page, row.lines)).collect()
    }
}

impl<S: Store> Pages for App<BookV2, S> {
    async fn pages(&self) -> std::collections::BTreeMap<String, Vec<u64>> {
        let rows = self.table::<PageV2>().list().await.unwrap();
        rows.into_iter().map(|row| (row.page, row.lines)).collect()
    }
}

async fn serves_the_fold<D: DomainOn<S>, S: Store>(app: App<D, S>, plain: &App<Pens, S>, version: u32)
where
    App<D, S>: Pages,
{
    let deadline = Instant::now() + Duration::from_secs(60);
    let serves = |known: &ProjectionVersion| known.version == version && known.state == VersionState::Active;
    while !app.store().projections().await.unwrap().iter().any(serves) {
        assert!(
            Instant::now() < deadline,
            "version {version} does not serve: {:?}",
            *app.subscriptions().health().borrow()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.caught_up().await.unwrap();
    assert_eq!(app.pages().await, truth(plain).await);
    app.shutdown().await;
}
