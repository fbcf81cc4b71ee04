//! How fast the runtime is on PostgreSQL, compared with what: one table of ratios, all measured in turns in one run, on a server that the
//! program makes for itself.

mod archive;
mod by_hand_views;
mod goals;
mod group;
mod hand;
mod idle;
mod limit;
mod measure;
mod member;
mod members;
mod read;
mod server;
mod write;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use es_benches::Result;
use es_benches::ratios::env::Env;
use es_benches::ratios::flush::{Flush, Shim};
use es_benches::ratios::{conflicts, table, turns};

use goals::GOALS;
use measure::Files;
use server::Server;

/// Measures the runtime on PostgreSQL against what one would write by hand, and against the limits of the server.
///
/// The program makes a server of its own, with `fsync` on, in the folder for temporary files (`TMPDIR`). All variants take turns in an order
/// that rotates, so that noise hits them alike. The ratios hold from machine to machine; the rates do not.
#[derive(Parser)]
struct Arguments {
    /// How often each variant is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each variant is measured in a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Three rounds of 0.3 seconds, with fewer events to read.
    #[arg(long)]
    quick: bool,
    /// Only these goals: their names stand in the first column of the table.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measures the runtime only, without what it is compared with: for profilers.
    #[arg(long)]
    alone: bool,
    /// Replaces every flush of the server by a sleep of this many microseconds (Linux, needs a C compiler).
    #[arg(long)]
    fsync_us: Option<u64>,
    /// How many connections the pool of what is written by hand has.
    #[arg(long, default_value_t = 64)]
    pool: u32,
    /// Says which statements took the server's time, all measurements together (`pg_stat_statements`; it costs some time itself).
    #[arg(long)]
    statements: bool,
    /// Is one of several processes; what it is to do comes through its standard input.
    #[arg(long, hide = true)]
    member: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.member {
        member::run()?;
        return Ok(ExitCode::SUCCESS);
    }
    let goals = turns::wanted(GOALS, &arguments.only)?;
    let (rounds, seconds) = if arguments.quick { (3, 0.3) } else { (arguments.rounds.max(1), arguments.seconds) };
    let folder = tempfile::tempdir()?;
    let shim = arguments.fsync_us.map(|us| Shim::build(us, folder.path())).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = runtime.block_on(Server::start(shim.as_ref(), arguments.statements))?;
    println!("{}", runtime.block_on(server.describe())?);
    let env = Env {
        flush: Flush::of_server(folder.path(), shim.as_ref())?,
        time: Duration::try_from_secs_f64(seconds)?,
        conflicts: conflicts::count()?,
        pool: arguments.pool.max(1),
        server: Some(server.process()?),
    };
    let measures = turns::measures(&goals, arguments.alone);
    let results = runtime.block_on(async {
        let files = Files::of(&measures, Arc::clone(&server), arguments.quick).await?;
        if arguments.statements {
            server.forget_statements().await?;
        }
        let results = turns::measure_all(&measures, rounds, &files, &env, folder.path()).await?;
        if arguments.statements {
            println!("{}", server.statements().await?);
        }
        Ok::<_, es_benches::Error>(results)
    })?;
    table::print(&goals, &results, &env, rounds)
}
