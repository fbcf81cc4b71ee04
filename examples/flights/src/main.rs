//! Imports flights and checks what the data itself knows; answers questions afterwards.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use es_runtime::prelude::*;
use flights::ask::Ask;
use flights::catch_up::catch_up;
use flights::import::{import, survey};
use flights::report::Report;
use flights::{Flights, verify::verify};
use indicatif::{ProgressBar, ProgressStyle};

/// Imports flights through commands, then checks events and read models against the data. Run it again: nothing is
/// imported twice. With a question, it answers from what was imported.
#[derive(Debug, Parser)]
struct Options {
    /// The rows: a CSV file, plain or compressed with gzip.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/january-2013.csv.gz"))]
    data: PathBuf,
    /// The database; made if there is none.
    #[arg(long, global = true, default_value = "target/flights.db")]
    db: PathBuf,
    /// How many commands are on their way at once.
    #[arg(long, default_value_t = 1024)]
    in_flight: usize,
    /// A question.
    #[command(subcommand)]
    ask: Option<Ask>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Options { data, db, in_flight, ask } = Options::parse();
    match ask {
        Some(ask) => answer(ask, &db).await,
        None => import_and_check(&data, &db, in_flight).await,
    }
}

async fn answer(ask: Ask, db: &Path) -> Result<ExitCode, Box<dyn Error>> {
    if !db.exists() {
        return Err(format!("there is no `{}` yet: run `flights` without a question first", db.display()).into());
    }
    let app = App::<Flights, _>::builder(SqliteStore::open(db).await?).build().await?;
    project(&app).await?;
    let text = ask.answer(&app).await?;
    app.shutdown().await;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

async fn import_and_check(data: &Path, db: &Path, in_flight: usize) -> Result<ExitCode, Box<dyn Error>> {
    std::fs::create_dir_all(db.parent().unwrap_or(Path::new(".")))?;
    let survey = survey(data)?;
    let app = App::<Flights, _>::builder(SqliteStore::open(db).await?).build().await?;

    let bar = progress(survey.commands, "commands")?;
    let started = Instant::now();
    let tally = import(&app, data, in_flight, &bar).await?;
    let took = started.elapsed();
    bar.finish_and_clear();
    let behind = project(&app).await?;

    let verification = verify(&app, data).await?;
    app.shutdown().await;
    let report = Report { survey, tally, verification, took, behind };
    print!("{report}");
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the projections, and says how long.
async fn project(app: &App<Flights, SqliteStore>) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let bar = progress(0, "events projected")?;
    catch_up(app, &bar).await?;
    bar.finish_and_clear();
    Ok(started.elapsed())
}

/// Makes the bar, which hides where nobody looks.
fn progress(length: u64, of: &'static str) -> Result<ProgressBar, Box<dyn Error>> {
    let style = "{bar:40} {human_pos}/{human_len} {msg}  {per_sec}  {eta} left";
    let bar = ProgressBar::new(length).with_style(ProgressStyle::with_template(style)?).with_message(of);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}
