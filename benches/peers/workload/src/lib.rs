//! The workload that every peer gets: accounts are opened, clients deposit and withdraw, and afterwards each balance is read as the
//! library reads it and compared with what was acknowledged.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use uuid::Uuid;

mod check;
mod commands;
mod drive;
mod report;

pub use commands::{Command, Options};

/// The error of a peer: it is counted, or the program ends.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a step of a peer gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a library answered a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is stored, durably.
    Done,
    /// The domain refused it: the balance is too low.
    Refused,
    /// Somebody else changed the account meanwhile: it is to be tried again.
    Conflict,
}

/// A bank, as one library keeps it.
pub trait Bank: Sized + Send + Sync + 'static {
    /// The peer's name in the table.
    const PEER: &'static str;
    /// The library's version.
    const VERSION: &'static str;

    /// Connects to an empty database and prepares it.
    fn connect(options: &Options) -> impl Future<Output = Result<Self>> + Send;

    /// Opens an account.
    fn open(&self, account: Uuid, owner: &str) -> impl Future<Output = Result<Answer>> + Send;

    /// Carries out a command, once. What the library tries again by itself is counted in [`Bank::retries`].
    fn execute(&self, account: Uuid, command: Command) -> impl Future<Output = Result<Answer>> + Send;

    /// Reads an account's balance anew from the database, as the library does.
    fn balance(&self, account: Uuid) -> impl Future<Output = Result<i64>> + Send;

    /// Counts what the library has tried again by itself so far.
    fn retries(&self) -> u64 {
        0
    }

    /// What is to be done before balances are read; by default nothing.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// The `main` of a peer.
#[must_use]
pub fn run<B: Bank>() -> ExitCode {
    let options = Options::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::from)
        .and_then(|runtime| runtime.block_on(whole::<B>(options)));
    match outcome {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", B::PEER);
            ExitCode::FAILURE
        }
    }
}

async fn whole<B: Bank>(options: Options) -> Result<String> {
    let bank = Arc::new(B::connect(&options).await?);
    let model = Arc::new(check::Model::new(&options));
    drive::open(&bank, &model, &options).await?;
    let seen = drive::drive(&bank, &model, &options).await?;
    bank.settle().await?;
    let verdict = check::compare(&*bank, &model).await?;
    report::line::<B>(&options, seen, verdict)
}
