//! How long it takes until what was committed is seen.

use std::time::{Duration, Instant};

use es_runtime::app::{App, CommandOf, DomainOn};
use es_runtime::query::AnswersOn;
use es_runtime::store::Store;

use super::env::Env;
use super::sample::Sample;
use crate::bank::{Bank, Book, OpenAccount, TEXT};
use crate::views::{BalanceOf, Behind};
use crate::{Result, fill};

/// When the next command comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// When the one before is seen.
    AtOnce,
    /// After a while in which nothing happens.
    Idle,
}

const PAUSE: Duration = Duration::from_millis(30);
const ACCOUNTS: usize = 1_000;
/// So many commands at least, so that the slowest of a hundred means something.
const LEAST: usize = 200;

/// Measures it with an application that writes and projects.
///
/// # Errors
///
/// What the application says, or that a query did not see what it was asked after.
pub async fn measure<S: Store>(visible: Visible, store: S, env: &Env) -> Result<Sample>
where
    Behind: DomainOn<S>,
    BalanceOf: AnswersOn<S>,
{
    let app = App::<Behind, _>::builder(store).build().await?;
    let sample = between(visible, &app, &app, env).await;
    app.shutdown().await;
    sample
}

/// Measures it between two applications: one writes, the other one projects and is asked.
///
/// # Errors
///
/// As [`measure`].
pub async fn elsewhere<S: Store>(visible: Visible, writes: S, reads: S, env: &Env) -> Result<Sample>
where
    Bank: DomainOn<S>,
    Behind: DomainOn<S>,
    BalanceOf: AnswersOn<S>,
{
    let reading = App::<Behind, _>::builder(reads).build().await?;
    let writing = App::<Bank, _>::builder(writes).build().await?;
    let sample = between(visible, &writing, &reading, env).await;
    writing.shutdown().await;
    reading.shutdown().await;
    sample
}

/// Dispatches one command after the other, and asks for what it did: from the command's answer to that of the query.
async fn between<D, S, Along>(
    visible: Visible,
    writing: &App<D, S>,
    reading: &App<Behind, S>,
    env: &Env,
) -> Result<Sample>
where
    D: DomainOn<S>,
    S: Store,
    Behind: DomainOn<S>,
    OpenAccount: CommandOf<D, Along>,
    Book: CommandOf<D, Along>,
    BalanceOf: AnswersOn<S>,
{
    let accounts = fill::accounts(ACCOUNTS);
    fill::open(writing, &accounts).await?;
    reading.caught_up().await?;
    let mut lags = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < env.time || lags.len() < LEAST {
        if visible == Visible::Idle {
            tokio::time::sleep(PAUSE).await;
        }
        let account = accounts[lags.len() * 7_919 % accounts.len()];
        let receipt = writing.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).await?;
        let committed = Instant::now();
        let seen = reading.query(BalanceOf { account }).after(&receipt).await?;
        lags.push(committed.elapsed());
        if seen.is_none_or(|seen| seen.entries == 0) {
            return Err("a query did not see what it was asked after".into());
        }
    }
    let mut sample = Sample::of(lags.len() as u64, begun.elapsed());
    lags.sort_unstable();
    let at = |hundredths: usize| lags[lags.len() * hundredths / 100].as_secs_f64() * 1e3;
    sample.lag = Some((at(50), at(99)));
    Ok(sample)
}
