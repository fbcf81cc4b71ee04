//! How long it takes until what was committed is seen.

use std::path::Path;
use std::time::{Duration, Instant};

use es_benches::bank::{Book, TEXT};
use es_benches::views::{BalanceOf, Behind};
use es_benches::{Result, fill};
use es_runtime::app::App;
use es_runtime::store::SqliteStore;

use crate::measure::{Env, Sample};

/// When the next command comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visible {
    /// When the one before is seen.
    AtOnce,
    /// After a while in which nothing happens.
    Idle,
}

const PAUSE: Duration = Duration::from_millis(30);
const ACCOUNTS: usize = 1_000;
/// So many commands at least, so that the slowest of a hundred means something.
const LEAST: usize = 200;

/// Dispatches one command after the other, and asks for what it did: from the command's answer to that of the query.
pub(crate) async fn measure(visible: Visible, folder: &Path, env: &Env) -> Result<Sample> {
    let store = SqliteStore::open(folder.join("bench.db")).await?;
    let app = App::<Behind, _>::builder(store).build().await?;
    let accounts = fill::accounts(ACCOUNTS);
    fill::open(&app, &accounts).await?;
    app.caught_up().await?;
    let mut lags = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < env.time || lags.len() < LEAST {
        if visible == Visible::Idle {
            tokio::time::sleep(PAUSE).await;
        }
        let account = accounts[lags.len() * 7_919 % accounts.len()];
        let receipt = app.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).await?;
        let committed = Instant::now();
        let seen = app.query(BalanceOf { account }).after(&receipt).await?;
        lags.push(committed.elapsed());
        if seen.is_none_or(|seen| seen.entries == 0) {
            return Err("a query did not see what it was asked after".into());
        }
    }
    let mut sample = Sample::of(lags.len() as u64, begun.elapsed());
    lags.sort_unstable();
    let at = |hundredths: usize| lags[lags.len() * hundredths / 100].as_secs_f64() * 1e3;
    sample.lag = Some((at(50), at(99)));
    app.shutdown().await;
    Ok(sample)
}
