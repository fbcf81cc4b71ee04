//! The import: what cannot be read, what is refused, and what is left of an import that was killed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use es_runtime::app::DomainOn;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use es_runtime::testing::TestApp;
use flights::Flights;
use flights::catch_up::catch_up;
use flights::import::{import, survey};
use flights::verify::{Agreement, Verification, verify};
use indicatif::ProgressBar;
use tempfile::TempDir;

type Failure = Box<dyn std::error::Error>;

/// Writes the first days of the shipped month.
fn days(folder: &TempDir, last: u32) -> Result<PathBuf, Failure> {
    let month = fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/january-2013.csv.gz"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(month).read_to_string(&mut text)?;
    let wanted = |line: &&str| {
        let day = line.split(',').nth(2).and_then(|day| day.parse::<u32>().ok());
        day.is_none_or(|day| day <= last)
    };
    let path = folder.path().join("days.csv");
    fs::write(&path, text.lines().filter(wanted).fold(String::new(), |all, line| all + line + "\n"))?;
    Ok(path)
}

const fn all(count: u64) -> Agreement {
    Agreement { recorded: count, found: count, agreed: count }
}

/// What the first three days are known to hold.
fn truth() -> Verification {
    Verification {
        events: EVENTS,
        flights: all(2_699),
        cancelled: all(22),
        unfinished: all(18),
        departure_delays: all(2_677),
        arrival_delays: all(2_659),
        boards: all(9),
        board_minutes: all(MINUTES),
        rotations: all(ROTATIONS),
        legs: all(LEGS),
        statuses: all(2_699),
        ..Verification::default()
    }
}

/// One for each of those flights, cancellations, departures and arrivals, and 587 for late departures.
const EVENTS: u64 = 2_699 + 22 + 2_677 + 2_659 + 587;

/// What the late departures of those days add up to.
const MINUTES: u64 = 37_954;
/// Aircraft that left on one of those days, each day anew, and the flights that have one.
const ROTATIONS: u64 = 2_048;
const LEGS: u64 = 2_695;

/// Waits for the read models, then compares everything.
async fn verified<S: Store>(app: &App<Flights, S>, path: &Path) -> Result<Verification, Failure>
where
    Flights: DomainOn<S>,
{
    catch_up(app, &ProgressBar::hidden()).await?;
    Ok(verify(app, path).await?)
}

#[tokio::test]
async fn an_import_agrees_with_its_data_and_repeats_nothing() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = days(&folder, 3)?;
    let app = TestApp::<Flights>::new().await?;
    let first = import(&app, &path, 256, &ProgressBar::hidden()).await?;
    assert_eq!(first.commands(), survey(&path)?.commands);
    assert_eq!((first.repeated, first.skipped), (0, 0));
    assert_eq!(verified(&app, &path).await?, truth());
    let second = import(&app, &path, 256, &ProgressBar::hidden()).await?;
    assert_eq!((second.done, second.repeated), (0, first.done));
    assert_eq!(second.refused, first.refused);
    assert_eq!(verified(&app, &path).await?, truth());
    Ok(())
}

#[tokio::test]
async fn rows_that_are_wrong_are_counted_with_their_reasons() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = days(&folder, 1)?;
    let mut file = fs::OpenOptions::new().append(true).open(&path)?;
    let end = "2013-01-01T10:00:00Z";
    writeln!(file, "2013,1,1,1761,515,2,830,819,11,UA,9001,N14228,EWR,IAH,227,1400,5,15,{end}")?;
    writeln!(file, "2013,1,1,517,515,2,830,819,11,UA,9002,N14228,EWR,EWR,227,1400,5,15,{end}")?;
    writeln!(file, "2013,1,1,517,515,2,830,819,11,UA,9003,N14228,EWR,IAH,27,1400,5,15,{end}")?;
    writeln!(file, "2013,2,30,517,515,2,830,819,11,UA,9004,N14228,EWR,IAH,227,1400,5,15,{end}")?;
    drop(file);
    let unreadable: Vec<_> = survey(&path)?.unreadable.into_iter().collect();
    let reasons = [("`1761` is not a time".to_owned(), 1), ("there is no such day".to_owned(), 1)];
    assert_eq!(unreadable, reasons);
    let app = TestApp::<Flights>::new().await?;
    let tally = import(&app, &path, 64, &ProgressBar::hidden()).await?;
    assert_eq!(tally.skipped, 2, "what follows in the row of 9002");
    assert_eq!(tally.refused.get("a flight goes to another airport than its own"), Some(&1));
    assert_eq!(tally.refused.get("faster than sound: the air time is too short for the distance"), Some(&1));
    let found = verified(&app, &path).await?;
    assert!(!found.holds(), "two flights are not as the data says");
    assert_eq!(found.flights, Agreement { recorded: 844, found: 843, agreed: 843 });
    assert_eq!(
        found.statuses,
        Agreement { recorded: 844, found: 843, agreed: 842 },
        "9002 is missing, 9003 has not arrived"
    );
    assert_eq!(found.boards, Agreement { recorded: 3, found: 3, agreed: 2 }, "Newark's lacks 9002");
    Ok(())
}

fn start(data: &Path, db: &Path) -> Result<Child, Failure> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_flights"));
    program.arg("--data").arg(data).arg("--db").arg(db).args(["--in-flight", "64"]);
    Ok(program.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Opens the database to look at it: its projections are the import's to run.
async fn open(db: &Path) -> Result<App<Flights, SqliteStore>, Failure> {
    Ok(App::<Flights, _>::builder(SqliteStore::open(db).await?).without_workers().build().await?)
}

/// Waits until the log has so many events, then kills the import with SIGKILL. Tells whether that was in its middle.
async fn kill_at(mut import: Child, db: &Path, events: u64) -> Result<bool, Failure> {
    let started = Instant::now();
    let app = loop {
        // The file may not be there yet: it is the import's to make.
        if db.exists()
            && let Ok(app) = open(db).await
        {
            break app;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "the import makes no file");
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    while app.event_count().await? < events && import.try_wait()?.is_none() {
        assert!(started.elapsed() < Duration::from_mins(1), "the import makes no progress");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    import.kill()?;
    let in_the_middle = import.wait()?.code().is_none();
    app.shutdown().await;
    Ok(in_the_middle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_where_it_was() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (data, db) = (days(&folder, 3)?, folder.path().join("flights.db"));
    let (mut before, mut killed) = (0, 0);
    for round in 0..4 {
        // The last bits of a new UUID are random.
        let moment = before + 1 + Uuid::now_v7().as_u64_pair().1 % (EVENTS / 6);
        killed += u32::from(kill_at(start(&data, &db)?, &db, moment).await?);
        let app = open(&db).await?;
        let stored = app.event_count().await?;
        app.shutdown().await;
        println!("round {round}: stopped with {stored} of {EVENTS} events");
        assert!(stored >= before, "events were lost");
        before = stored;
    }
    assert!(killed > 0 && before > 0, "no import was killed in its middle");
    assert!(start(&data, &db)?.wait()?.success(), "the last run finds everything as it should be");
    let app = open(&db).await?;
    assert_eq!(verified(&app, &data).await?, truth());
    let again = import(&app, &data, 64, &ProgressBar::hidden()).await?;
    assert_eq!(again.done, 0, "nothing is left to be done");
    app.shutdown().await;
    Ok(())
}
