//! Imports flights and checks what the data itself knows.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use es_runtime::prelude::*;
use flights::import::{import, survey};
use flights::report::Report;
use flights::{Flights, verify::verify};
use indicatif::{ProgressBar, ProgressStyle};

/// Imports flights through commands, then checks the events against the data. Run it again: nothing is imported twice.
#[derive(Debug, Parser)]
struct Options {
    /// The rows: a CSV file, plain or compressed with gzip.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/january-2013.csv.gz"))]
    data: PathBuf,
    /// The database; made if there is none.
    #[arg(long, default_value = "target/flights.db")]
    db: PathBuf,
    /// How many commands are on their way at once.
    #[arg(long, default_value_t = 1024)]
    in_flight: usize,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Options { data, db, in_flight } = Options::parse();
    std::fs::create_dir_all(db.parent().unwrap_or(Path::new(".")))?;
    let survey = survey(&data)?;
    let app = App::<Flights, _>::builder(SqliteStore::open(&db).await?).build().await?;

    let bar = progress(survey.commands)?;
    let started = Instant::now();
    let tally = import(&app, &data, in_flight, &bar).await?;
    let took = started.elapsed();
    bar.finish_and_clear();

    let verification = verify(&app, &data).await?;
    app.shutdown().await;
    let report = Report { survey, tally, verification, took };
    print!("{report}");
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes the bar, which hides where nobody looks.
fn progress(commands: u64) -> Result<ProgressBar, Box<dyn Error>> {
    let style = "{bar:40} {human_pos}/{human_len} commands  {per_sec}  {eta} left";
    let bar = ProgressBar::new(commands).with_style(ProgressStyle::with_template(style)?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}
