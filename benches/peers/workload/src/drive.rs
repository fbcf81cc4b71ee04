//! Clients that dispatch, and what is seen of them.

use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::check::Model;
use crate::{Answer, Bank, Command, Options, Result};

/// After how many tries a command counts as failed.
const TRIES: u32 = 1_000;

/// How many errors are told one by one.
const TOLD: u64 = 5;

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) retries: u64,
    pub(crate) took: Duration,
    pub(crate) flushes: Option<u64>,
    /// How long each answered command took, in microseconds.
    pub(crate) latencies: Vec<u32>,
}

/// Opens all accounts; then runs what is to be run before the rest.
pub(crate) async fn open<B: Bank>(bank: &Arc<B>, model: &Arc<Model>, options: &Options) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..options.clients {
        let (bank, model, next) = (Arc::clone(bank), Arc::clone(model), Arc::clone(&next));
        clients.spawn(async move {
            while let Some(account) = model.ids.get(take(&next)) {
                let mut tries = 0;
                while bank.open(*account, "Ann").await? != Answer::Done {
                    tries += 1;
                    if tries == TRIES {
                        return Err(format!("account {account} could not be opened").into());
                    }
                    back_off(tries).await;
                }
            }
            Ok::<_, crate::Error>(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    match &options.before {
        Some(command) if !Process::new("sh").args(["-c", command]).status()?.success() => {
            Err(format!("`{command}` failed").into())
        }
        _ => Ok(()),
    }
}

/// Lets clients warm up, then dispatch while it is measured.
pub(crate) async fn drive<B: Bank>(bank: &Arc<B>, model: &Arc<Model>, options: &Options) -> Result<Seen> {
    let late = Instant::now() + Duration::from_hours(1);
    clients(bank, model, options, 0..options.warm_up, late).await?;
    let (flushes, retries, begun) = (flushes()?, bank.retries(), Instant::now());
    let turns = options.warm_up..options.warm_up + options.commands;
    let mut seen = clients(bank, model, options, turns, begun + Duration::from_secs_f64(options.seconds)).await?;
    seen.took = begun.elapsed();
    seen.retries += bank.retries() - retries;
    seen.flushes = self::flushes()?.zip(flushes).map(|(after, before)| after - before);
    Ok(seen)
}

/// Lets clients take turns until there are no more, or time is up.
async fn clients<B: Bank>(
    bank: &Arc<B>,
    model: &Arc<Model>,
    options: &Options,
    turns: std::ops::Range<u64>,
    until: Instant,
) -> Result<Seen> {
    let next = Arc::new(AtomicU64::new(turns.start));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..options.clients {
        let (bank, model, next, options) = (Arc::clone(bank), Arc::clone(model), Arc::clone(&next), options.clone());
        let end = turns.end;
        clients.spawn(async move {
            let mut seen = Seen::default();
            while Instant::now() < until {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= end {
                    break;
                }
                let (account, command) = options.command(turn);
                once(&*bank, &model, account, command, &mut seen).await;
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Some(client) = clients.join_next().await {
        all.add(client?);
    }
    Ok(all)
}

/// Carries out one command, again and again while it conflicts.
async fn once<B: Bank>(bank: &B, model: &Model, account: usize, command: Command, seen: &mut Seen) {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        match bank.execute(model.ids[account], command).await {
            Ok(Answer::Done) => {
                model.acknowledge(account, command);
                seen.done += 1;
                break;
            }
            Ok(Answer::Refused) => {
                seen.refused += 1;
                break;
            }
            Ok(Answer::Conflict) if tries + 1 < TRIES => {
                tries += 1;
                seen.retries += 1;
                back_off(tries).await;
            }
            Ok(Answer::Conflict) => return seen.fail(B::PEER, &format!("{TRIES} conflicts")),
            Err(error) => return seen.fail(B::PEER, &*error),
        }
    }
    seen.latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
}

/// Waits after a conflict: not at all the first time, then for longer and longer, up to 16 ms.
async fn back_off(tries: u32) {
    if tries > 1 {
        tokio::time::sleep(Duration::from_millis(1 << (tries - 2).min(4))).await;
    }
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
        self.errors += other.errors;
        self.retries += other.retries;
        self.latencies.extend(other.latencies);
    }

    fn fail(&mut self, peer: &str, error: &(impl std::fmt::Display + ?Sized)) {
        static ERRORS: AtomicU64 = AtomicU64::new(0);
        self.errors += 1;
        if ERRORS.fetch_add(1, Ordering::Relaxed) < TOLD {
            eprintln!("{peer}: a command failed: {error}");
        }
    }
}

fn take(next: &AtomicU64) -> usize {
    usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX)
}

/// Counts the server's flushes so far, where the runner lets them be counted.
fn flushes() -> Result<Option<u64>> {
    let Some(path) = std::env::var_os("ES_BENCH_FLUSH_COUNT") else { return Ok(None) };
    Ok(Some(u64::from_ne_bytes(std::fs::read(path)?.as_slice().try_into()?)))
}
