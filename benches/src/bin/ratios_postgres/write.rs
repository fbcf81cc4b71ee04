//! Writing: the runtime, its store alone, the same by hand, and the limits of the server.

use std::sync::Arc;

use es_benches::Result;
use es_benches::bank::Bank;
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::write::{Dispatching, Work, append, dispatch, drive};
use es_benches::views::{Behind, InAppend};

use crate::group::GroupInserts;
use crate::hand::{ByHand, Hand};
use crate::limit::RowInserts;
use crate::measure::Groups;
use crate::server::Server;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `app.dispatch`.
    Dispatch,
    /// `app.dispatch`, with a synchronous projection.
    DispatchKept,
    /// `app.dispatch`, with a projection behind the log.
    DispatchBehind,
    /// `app.dispatch` of two applications, each with a schema and half of the clients.
    TwoApplications,
    /// `store.submit`: no command, no state.
    Append,
    /// By hand: one transaction a command.
    Hand(Hand),
    /// One statement with a group's rows through sqlx, one after the other.
    Rows,
    /// Callers hand rows to a task, which commits them in groups through tokio-postgres.
    TokioGroup,
}

/// How many write to how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) accounts: usize,
}

/// Measures one way under a load, in a new schema.
pub(crate) async fn measure(way: Way, load: Load, server: &Arc<Server>, groups: &Groups, env: &Env) -> Result<Sample> {
    let schema = server.fresh();
    let Load { clients, accounts } = load;
    let sample = match way {
        Way::Dispatch => {
            let sample = dispatch::<Bank, _, _>(schema.store().await?, accounts, clients, env).await?;
            groups.saw(clients, &sample);
            sample
        }
        Way::DispatchKept => dispatch::<InAppend, _, _>(schema.store().await?, accounts, clients, env).await?,
        Way::DispatchBehind => dispatch::<Behind, _, _>(schema.store().await?, accounts, clients, env).await?,
        Way::TwoApplications => two(server, load, env).await?,
        Way::Append => append(schema.store().await?, accounts, clients, env).await?,
        Way::Hand(hand) => {
            let by_hand = Arc::new(ByHand::open(&schema, load, hand, env.pool).await?);
            let sample = drive(&by_hand, clients, env).await?;
            by_hand.close().await;
            sample
        }
        Way::Rows => {
            schema.with_store().await?;
            drive(&Arc::new(RowInserts::open(&schema, accounts, groups.of(clients)).await?), 1, env).await?
        }
        Way::TokioGroup => {
            schema.with_store().await?;
            drive(&GroupInserts::start(&schema, accounts).await?, clients, env).await?
        }
    };
    schema.drop().await?;
    Ok(sample)
}

/// Two applications that share a database.
struct Two<W>([Arc<W>; 2]);

impl<W: Work> Work for Two<W> {
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        self.0[client % 2].once(client / 2, turn).await
    }
}

async fn two(server: &Arc<Server>, load: Load, env: &Env) -> Result<Sample> {
    let (first, second) = (server.fresh(), server.fresh());
    let (accounts, clients) = (load.accounts, load.clients / 2);
    let applications = [
        Dispatching::<Bank, _, _>::open(first.store().await?, accounts, clients).await?,
        Dispatching::<Bank, _, _>::open(second.store().await?, accounts, clients).await?,
    ];
    let two = Arc::new(Two(applications));
    let sample = drive(&two, load.clients, env).await?;
    for application in &two.0 {
        application.shutdown().await;
    }
    first.drop().await?;
    second.drop().await?;
    Ok(sample)
}
