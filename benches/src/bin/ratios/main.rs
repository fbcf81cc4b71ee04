//! How fast the runtime is, compared with what: one table of ratios, all measured in turns in one run.

mod archive;
mod by_hand_views;
mod counting;
mod flush;
mod goals;
mod hand;
mod limit;
mod measure;
mod memory;
mod read;
mod rebuild;
mod table;
mod visible;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use es_benches::Result;
use indicatif::{ProgressBar, ProgressStyle};

use counting::Counting;
use flush::Flush;
use goals::{GOALS, Goal};
use measure::{Env, Files, Measure, Sample};

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
    let wanted = |goal: &&Goal| arguments.only.is_empty() || arguments.only.iter().any(|name| name == goal.name);
    let goals: Vec<&Goal> = GOALS.iter().filter(wanted).collect();
    if goals.is_empty() {
        return Err("there is no such goal".into());
    }
    let (rounds, seconds) = if arguments.quick { (3, 0.3) } else { (arguments.rounds.max(1), arguments.seconds) };
    let env = Env {
        flush: Flush::here(folder.path(), arguments.fsync_us.is_some())?,
        time: Duration::try_from_secs_f64(seconds)?,
        conflicts: counting::conflicts()?,
        pool: arguments.pool.max(1),
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
    let measures = measures(&goals, arguments.alone);
    let results = runtime.block_on(measure_all(&measures, rounds, &env, &folder))?;
    table::print(&goals, &results, &env, rounds)
}

/// What was measured, with its rounds.
struct Results {
    samples: Vec<(Measure, Vec<Sample>)>,
    /// The flush at the beginning of each round: a disk is not a constant.
    flushes: Vec<Duration>,
}

/// Gives what has to be measured for some goals, each once.
fn measures(goals: &[&Goal], alone: bool) -> Vec<Measure> {
    let mut measures = Vec::new();
    for goal in goals {
        let theirs = goal.theirs.filter(|_| !alone).map(|(_, theirs)| theirs);
        for measure in [Some(goal.ours), theirs].into_iter().flatten() {
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
    }
    measures
}

/// Measures everything in turns. Each round begins with another one, and goes the other way round.
async fn measure_all(measures: &[Measure], rounds: usize, env: &Env, folder: &tempfile::TempDir) -> Result<Results> {
    let mut samples: Vec<_> = measures.iter().map(|measure| (*measure, Vec::new())).collect();
    let mut flushes = Vec::new();
    let files = Files::of(measures, folder.path()).await?;
    let bar = ProgressBar::new((samples.len() * rounds) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    for round in 0..rounds {
        flushes.push(flush::measure(folder.path())?);
        for place in 0..samples.len() {
            // Every other round backwards, so that each has other neighbours: a disk remembers who used it before.
            let place = if round % 2 == 0 { place } else { samples.len() - 1 - place };
            let at = (place + round) % samples.len();
            let (measure, rounds) = &mut samples[at];
            bar.set_message(format!("{measure:?}"));
            rounds.push(measure::once(*measure, &files, folder.path(), env).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(Results { samples, flushes })
}
