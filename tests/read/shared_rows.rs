//! A synchronous projection whose rows are shared by streams, while programs of several versions run on one store: what is read is the fold
//! of the log, row by row, in its order.

mod killed;

use std::collections::BTreeMap;
use std::time::Duration;

use es_runtime::app::Visibility;
use es_runtime::prelude::*;
use es_runtime::store::{ProjectionVersion, Store, VersionState};
use futures_util::TryStreamExt as _;

use crate::domain::on_every_store;
use crate::random::Random;

on_every_store! {
    the_last_value_is_that_of_the_log,
    programs_of_several_versions_serve_the_fold_of_the_log,
    a_row_whose_key_is_too_long_is_put_aside_and_holds_nobody_up,
}

#[domain_event]
pub struct Begun {
    pub page: String,
}

#[domain_event]
pub struct Written {
    pub page: String,
    pub line: u64,
}

/// Somebody has a pen.
#[domain_event]
pub struct Taken;

#[aggregate(name = "pen", id = String, events(Taken, Begun, Written))]
pub struct Pen {
    lines: u64,
}

#[aggregate]
impl Pen {
    #[apply]
    fn taken(_: &Taken) -> Self {
        Self { lines: 0 }
    }

    #[apply]
    fn begun(&mut self, _: &Begun) {}

    #[apply]
    fn written(&mut self, _: &Written) {
        self.lines += 1;
    }

    #[command_handler]
    fn begin(this: Option<&Self>, command: Begin) -> Vec<PenEvent> {
        with_a_pen(this, Begun { page: command.page }.into())
    }

    #[command_handler]
    fn write(this: Option<&Self>, command: Write) -> Vec<PenEvent> {
        with_a_pen(this, Written { page: command.page, line: command.line }.into())
    }
}

fn with_a_pen(this: Option<&Pen>, event: PenEvent) -> Vec<PenEvent> {
    this.is_none().then(|| Taken.into()).into_iter().chain([event]).collect()
}

#[command(aggregate = Pen)]
pub struct Begin {
    #[id]
    pub pen: String,
    pub page: String,
}

#[command(aggregate = Pen)]
pub struct Write {
    #[id]
    pub pen: String,
    pub page: String,
    pub line: u64,
}

/// A page, on which every pen may write.
#[read_model(table = "pages")]
pub struct Page {
    #[key]
    pub page: String,
    pub last: u64,
    #[json]
    pub lines: Vec<u64>,
}

#[projection(name = "pages")]
impl Page {
    #[sync_projection(key = |event| event.page.clone())]
    fn begun(_: Option<Self>, event: &Recorded<Begun>) -> Option<Self> {
        Some(Self { page: event.page.clone(), last: 0, lines: Vec::new() })
    }

    /// Fails where the page was not begun.
    #[sync_projection(key = |event| event.page.clone())]
    fn written(&mut self, event: &Recorded<Written>) {
        self.last = event.line;
        self.lines.push(event.line);
    }
}

/// The next version of [`Page`].
#[read_model(table = "pages")]
pub struct PageV2 {
    #[key]
    pub page: String,
    pub last: u64,
    #[json]
    pub lines: Vec<u64>,
    pub long: bool,
}

#[projection(name = "pages", version = 2)]
impl PageV2 {
    #[sync_projection(key = |event| event.page.clone())]
    fn begun(_: Option<Self>, event: &Recorded<Begun>) -> Option<Self> {
        Some(Self { page: event.page.clone(), last: 0, lines: Vec::new(), long: false })
    }

    #[sync_projection(key = |event| event.page.clone())]
    fn written(&mut self, event: &Recorded<Written>) {
        self.last = event.line;
        self.lines.push(event.line);
        self.long = self.lines.len() > 3;
    }
}

domain! { pub Pens = "pens"; aggregates: [Pen]; commands: [Begin, Write] }
domain! { pub Book = "book"; domains: [Pens]; projections: [Page] }
domain! { pub BookV2 = "book"; domains: [Pens]; projections: [PageV2] }

const PAGES: u64 = 3;

/// What is on each page after the whole log. From an event on that fails, a page stays as it is.
async fn truth<S: Store>(app: &App<Pens, S>) -> BTreeMap<String, Vec<u64>> {
    let (mut pages, mut failed) = (BTreeMap::new(), Vec::new());
    let mut events = app.events();
    while let Some(event) = events.try_next().await.unwrap() {
        match event.decode_as::<Pen>().unwrap().event() {
            PenEvent::Begun(begun) if !failed.contains(&begun.page) => {
                pages.insert(begun.page.clone(), Vec::new());
            }
            PenEvent::Written(written) if !failed.contains(&written.page) => match pages.get_mut(&written.page) {
                Some(lines) => lines.push(written.line),
                None => failed.push(written.page.clone()),
            },
            _ => {}
        }
    }
    pages
}

async fn the_last_value_is_that_of_the_log<S: Store>(store: S) {
    let old: App<Book, S> = App::builder(store.clone()).build().await.unwrap();
    let plain: App<Pens, S> = App::builder(store.clone()).build().await.unwrap();
    let new: App<BookV2, S> = App::builder(store).build().await.unwrap();
    let page = || "p".to_owned();
    old.dispatch(Begin { pen: "a".into(), page: page() }).await.unwrap();
    let mut line = 0;
    for round in 0..20 {
        for pen in ["a", "b", "c"] {
            line += 1;
            let write = Write { pen: pen.into(), page: page(), line };
            if round % 2 == 0 {
                old.dispatch(write).await.unwrap();
            } else {
                plain.dispatch(write).await.unwrap();
            }
        }
        line += 1;
        new.dispatch(Write { pen: "d".into(), page: page(), line }).await.unwrap();
        new.caught_up().await.unwrap();
        let row = new.table::<PageV2>().get(&page()).await.unwrap().unwrap();
        assert_eq!(row.last, line, "round {round}");
        assert_eq!(row.lines, (1..=line).collect::<Vec<_>>(), "round {round}");
        old.caught_up().await.unwrap();
    }
}

/// Dispatches something, and looks whether what a receipt calls visible is there.
macro_rules! step {
    ($app:expr, $row:ty, $random:expr, $line:expr) => {{
        let (app, random, line) = ($app, $random, $line);
        let page = random.below(PAGES).to_string();
        let pen = format!("{}-{}", stringify!($row), random.below(4));
        if random.below(60) == 0 {
            let _ = app.dispatch(Begin { pen, page }).await;
        } else {
            let write = app
                .dispatch(Write { pen, page: page.clone(), line })
                .wait_for_projections(Duration::from_millis(150))
                .await;
            if let Ok(receipt) = write
                && receipt.visibility() == Visibility::Visible
            {
                let row = app.table::<$row>().get(&page).await.unwrap();
                // Another program may have begun the page anew.
                let newer = |row: &$row| row.lines.is_empty() || row.last != line && !row.lines.contains(&line);
                let is_there = row.as_ref().is_some_and(|row| row.lines.contains(&line));
                let anew = row.as_ref().is_some_and(newer);
                assert!(is_there || anew, "line {line} of page {page} is not visible: {row:?}");
            }
        }
    }};
}

use step;

async fn programs_of_several_versions_serve_the_fold_of_the_log<S: Store>(store: S) {
    for seed in 0..2 {
        run(store.clone(), seed).await;
    }
}

async fn run<S: Store>(store: S, seed: u64) {
    let plain: App<Pens, S> = App::builder(store.clone()).build().await.unwrap();
    for page in 1..PAGES {
        let _ = plain.dispatch(Begin { pen: "first".into(), page: page.to_string() }).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    let lines = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(seed * 1_000_000));
    for program in 0..5_u64 {
        let (store, lines) = (store.clone(), std::sync::Arc::clone(&lines));
        tasks.spawn(async move {
            let mut random = Random::new(seed * 10 + program);
            let next = || lines.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            for _life in 0..3 {
                let steps = 25 + random.below(25);
                match program {
                    // While it is the only one of its version, it may be gone in between.
                    0 | 1 => {
                        let builder = App::<Book, S>::builder(store.clone());
                        let app = if program == 0 { builder } else { builder.without_workers() };
                        let Ok(app) = app.build().await else { return };
                        for _ in 0..steps {
                            step!(&app, Page, &mut random, next());
                        }
                    }
                    2 | 3 => {
                        let builder = App::<BookV2, S>::builder(store.clone());
                        let app = if program == 2 { builder } else { builder.without_workers() };
                        let app = app.build().await.unwrap();
                        for _ in 0..steps {
                            step!(&app, PageV2, &mut random, next());
                        }
                    }
                    _ => {
                        let app: App<Pens, S> = App::builder(store.clone()).build().await.unwrap();
                        for _ in 0..steps {
                            let (pen, page) = (random.below(4).to_string(), random.below(PAGES).to_string());
                            let line = next();
                            let _ = match random.below(60) {
                                0 => app.dispatch(Begin { pen, page }).await.map(drop),
                                _ => app.dispatch(Write { pen, page, line }).await.map(drop),
                            };
                            tokio::time::sleep(Duration::from_millis(random.below(3))).await;
                        }
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let new: App<BookV2, S> = App::builder(store.clone()).build().await.unwrap();
    let serves = |known: &ProjectionVersion| known.version == 2 && known.state == VersionState::Active;
    while !store.projections().await.unwrap().iter().any(serves) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    new.caught_up().await.unwrap();
    let rows = new.table::<PageV2>().list().await.unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.page, row.lines)).collect();
    assert_eq!(rows, truth(&plain).await, "seed {seed}");
}

async fn a_row_whose_key_is_too_long_is_put_aside_and_holds_nobody_up<S: Store>(store: S) {
    let book: App<Book, S> = App::builder(store.clone()).build().await.unwrap();
    let plain: App<Pens, S> = App::builder(store).build().await.unwrap();
    let mut random = Random::new(1);
    let long: String = (0..2_600).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect();
    let begin = |pen: &str| Begin { pen: pen.into(), page: long.clone() };
    let error = book.dispatch(begin("a")).await.unwrap_err();
    assert_eq!(error.kind(), "sync_projection_failed", "{error}");
    assert!(!error.is_retryable(), "{error}");
    plain.dispatch(begin("b")).await.unwrap();
    book.dispatch(Begin { pen: "c".into(), page: "short".into() }).await.unwrap();
    book.caught_up().await.unwrap();
    assert_eq!(book.table::<Page>().list().await.unwrap().len(), 1);
    let letters = book.subscriptions().letters("pages", None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let cause = letters[0].letter.cause.clone().unwrap();
    assert!(cause.contains("column `page`: the row's key has"), "{cause}");
}
