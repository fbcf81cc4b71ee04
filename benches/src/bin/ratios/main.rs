//! How fast the runtime is, compared with what: one table of ratios, all measured in turns in one run.

mod archive;
mod by_hand_views;
mod counting;
mod goals;
mod hand;
mod limit;
mod measure;
mod memory;
mod read;
mod rebuild;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use es_benches::Result;
use es_benches::ratios::env::Env;
use es_benches::ratios::flush::{self, Flush};
use es_benches::ratios::{conflicts, table, turns};

use counting::Counting;
use goals::GOALS;
use measure::Files;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Measures the runtime against what one would write by hand, and against the limits of SQLite.
///
/// All variants take turns in one process, in an order that rotates, so that noise hits them alike. The ratios hold from machine
/// to machine; the rates do not.
#[derive(Parser)]
struct Arguments {
    /// How often each variant is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each variant is measured in a round.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Three rounds of 0.3 seconds.
    #[arg(long)]
    quick: bool,
    /// Only these goals: a to f, g1 to g4, g10, h1 to h5.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Measures the runtime only, without what it is compared with: for profilers.
    #[arg(long)]
    alone: bool,
    /// Replaces every flush of the disk by a sleep of this many microseconds (Linux, needs a C compiler).
    #[arg(long)]
    fsync_us: Option<u64>,
    /// Where the files are made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// How many connections the pool of what is written by hand has. More are slower: SQLite has one writer.
    #[arg(long, default_value_t = 1)]
    pool: u32,
    /// Instead of the goals: builds a read model from so many stored events, each in a process of its own.
    #[arg(long, value_delimiter = ',')]
    rebuild: Vec<usize>,
    /// What a process of `--rebuild` does.
    #[arg(long, hide = true)]
    rebuild_file: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    if let Some(us) = arguments.fsync_us
        && let Some(code) = flush::fixed(us, folder.path())?
    {
        return Ok(code);
    }
    let goals = turns::wanted(GOALS, &arguments.only)?;
    let (rounds, seconds) = if arguments.quick { (3, 0.3) } else { (arguments.rounds.max(1), arguments.seconds) };
    let env = Env {
        flush: Flush::here(folder.path(), arguments.fsync_us.is_some())?,
        time: Duration::try_from_secs_f64(seconds)?,
        conflicts: conflicts::count()?,
        pool: arguments.pool.max(1),
        server: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(file) = &arguments.rebuild_file {
        runtime.block_on(rebuild::one(file, &env))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.rebuild.is_empty() {
        runtime.block_on(rebuild::all(&arguments.rebuild, folder.path()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let measures = turns::measures(&goals, arguments.alone);
    let results = runtime.block_on(async {
        let files = Files::of(&measures, folder.path()).await?;
        turns::measure_all(&measures, rounds, &files, &env, folder.path()).await
    })?;
    table::print(&goals, &results, &env, rounds)
}
