//! This project: `app.dispatch`, on the PostgreSQL store.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::app::App;
use es_runtime::error::DispatchError;
use es_runtime::prelude::Uuid;
use es_runtime::store::PostgresStore;
use peers_workload::{Answer, Command, Options, Result};
use tokio::sync::OnceCell;

use crate::bank::{Account, Bank, Deposit, OpenAccount, Withdraw};
use crate::conflicts::Conflicts;

mod bank;
mod conflicts;

type BankApp = App<Bank, PostgresStore>;

struct Es {
    app: BankApp,
    options: Options,
    conflicts: Arc<AtomicU64>,
    /// A second application with a store of its own: it has seen nothing when balances are read.
    reader: OnceCell<BankApp>,
}

/// Opens the application; a cold one keeps no aggregate and no stream between commands.
async fn start(options: &Options) -> Result<BankApp> {
    let mut store = PostgresStore::options().schema("bank").connections(options.pool);
    if options.cold {
        store = store.cached_streams(1);
    }
    let mut builder = App::<Bank, _>::builder(store.connect(&options.url).await?);
    if options.cold {
        builder = builder.limits(|limits| limits.cached_aggregates = 0);
    }
    Ok(Box::pin(builder.build()).await?)
}

impl peers_workload::Bank for Es {
    const PEER: &'static str = "es";
    const VERSION: &'static str = "this tree";

    async fn connect(options: &Options) -> Result<Self> {
        let conflicts = Conflicts::count()?;
        Ok(Self { app: start(options).await?, options: options.clone(), conflicts, reader: OnceCell::new() })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        answer(self.app.dispatch(OpenAccount { account, owner: owner.to_owned() }).await)
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        match command {
            Command::Deposit(cents) => answer(self.app.dispatch(Deposit { account, cents }).await),
            Command::Withdraw(cents) => match self.app.dispatch(Withdraw { account, cents }).await {
                Err(DispatchError::Domain(bank::TooLow)) => Ok(Answer::Refused),
                other => answer(other),
            },
        }
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        let reader = self.reader.get_or_try_init(|| start(&self.options)).await?;
        let loaded = reader.load::<Account>(account).await?;
        Ok(loaded.state().ok_or("the account is not there")?.balance())
    }

    fn retries(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }
}

/// After as many tries as the library makes, a conflict is left to the caller.
fn answer<T, E: std::error::Error + Send + Sync + 'static>(outcome: Result<T, DispatchError<E>>) -> Result<Answer> {
    match outcome {
        Ok(_) => Ok(Answer::Done),
        Err(DispatchError::Conflict { .. }) => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}

fn main() -> ExitCode {
    peers_workload::run::<Es>()
}
