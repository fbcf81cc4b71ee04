//! Writing: the runtime, its store alone, the same by hand, and the limits of SQLite.

use std::path::Path;
use std::sync::Arc;

use es_benches::Result;
use es_benches::bank::Bank;
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::write::{append, dispatch, drive};
use es_benches::views::{Behind, InAppend};
use es_runtime::store::sqlite::Durability;
use es_runtime::store::{EventStore as _, SqliteStore};

use crate::hand::ByHand;
use crate::limit::{GroupInserts, Inserts, RowInserts};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `app.dispatch`.
    Dispatch,
    /// `app.dispatch`, with a synchronous projection.
    DispatchKept,
    /// `app.dispatch`, with a projection behind the log.
    DispatchBehind,
    /// `store.submit`: no command, no state.
    Append,
    /// By hand: one transaction a command; selects the stream and folds it.
    HandEvents,
    /// By hand: one transaction a command; keeps the state in a row of its own.
    HandState,
    /// One statement with a group's rows through sqlx, one after the other.
    Rows,
    /// Callers hand rows to a thread, which commits them in groups through rusqlite.
    RusqliteGroup,
    /// One row a commit through rusqlite.
    Rusqlite,
}

/// How many write to how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) accounts: usize,
    pub(crate) durable: bool,
}

impl Load {
    pub(crate) const fn durability(self) -> Durability {
        if self.durable { Durability::PowerLoss } else { Durability::ProcessCrash }
    }
}

/// Measures one way under a load, on a new file.
pub(crate) async fn measure(way: Way, load: Load, folder: &Path, env: &Env) -> Result<Sample> {
    let file = folder.join("bench.db");
    match way {
        Way::Dispatch => dispatch::<Bank, _, _>(open(load, &file).await?, load.accounts, load.clients, env).await,
        Way::DispatchKept => {
            dispatch::<InAppend, _, _>(open(load, &file).await?, load.accounts, load.clients, env).await
        }
        Way::DispatchBehind => {
            dispatch::<Behind, _, _>(open(load, &file).await?, load.accounts, load.clients, env).await
        }
        Way::Append => append(open(load, &file).await?, load.accounts, load.clients, env).await,
        Way::HandEvents | Way::HandState => {
            let hand = ByHand::open(&file, load, way == Way::HandState, env.pool).await?;
            drive(&Arc::new(hand), load.clients, env).await
        }
        Way::Rows => {
            open(load, &file).await?.close().await;
            drive(&Arc::new(RowInserts::open(&file, load).await?), 1, env).await
        }
        Way::RusqliteGroup => {
            open(load, &file).await?.close().await;
            drive(&Arc::new(GroupInserts::start(&file, load)?), load.clients, env).await
        }
        Way::Rusqlite => {
            open(load, &file).await?.close().await;
            drive(&Arc::new(Inserts::open(&file, load)?), 1, env).await
        }
    }
}

async fn open(load: Load, file: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::options().durability(load.durability()).open(file).await?)
}
