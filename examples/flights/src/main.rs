//! Imports flights and checks what the data itself knows; answers questions afterwards.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use es_runtime::app::DomainOn;
use es_runtime::prelude::*;
use es_runtime::store::Store;
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
    /// Instead of the file: a PostgreSQL database, `postgres://user@host/database`. The tables are made in its schema `flights`.
    #[cfg(feature = "postgres")]
    #[arg(long, global = true, conflicts_with = "db")]
    postgres: Option<String>,
    /// How many commands are on their way at once.
    #[arg(long, default_value_t = 1024)]
    in_flight: usize,
    /// A question.
    #[command(subcommand)]
    ask: Option<Ask>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    #[cfg(feature = "postgres")]
    if let Some(url) = &options.postgres {
        let store = PostgresStore::options().schema("flights").connect(url).await?;
        return run(store, &options).await;
    }
    if options.ask.is_some() && !options.db.exists() {
        let db = options.db.display();
        return Err(format!("there is no `{db}` yet: run `flights` without a question first").into());
    }
    std::fs::create_dir_all(options.db.parent().unwrap_or(Path::new(".")))?;
    run(SqliteStore::open(&options.db).await?, &options).await
}

/// Does what was asked for, whatever the store.
async fn run<S: Store>(store: S, options: &Options) -> Result<ExitCode, Box<dyn Error>>
where
    Flights: DomainOn<S>,
{
    let app = App::<Flights, _>::builder(store).build().await?;
    let code = match &options.ask {
        Some(ask) => {
            project(&app).await?;
            print!("{}", ask.clone().answer(&app).await?);
            ExitCode::SUCCESS
        }
        None => import_and_check(&app, &options.data, options.in_flight).await?,
    };
    app.shutdown().await;
    Ok(code)
}

async fn import_and_check<S: Store>(
    app: &App<Flights, S>,
    data: &Path,
    in_flight: usize,
) -> Result<ExitCode, Box<dyn Error>>
where
    Flights: DomainOn<S>,
{
    let survey = survey(data)?;
    let bar = progress(survey.commands, "commands")?;
    let started = Instant::now();
    let tally = import(app, data, in_flight, &bar).await?;
    let took = started.elapsed();
    bar.finish_and_clear();
    let behind = project(app).await?;
    let verification = verify(app, data).await?;
    let report = Report { survey, tally, verification, took, behind };
    print!("{report}");
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the projections, and says how long.
async fn project<S: Store>(app: &App<Flights, S>) -> Result<Duration, Box<dyn Error>>
where
    Flights: DomainOn<S>,
{
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
