//! Builds of claims in processes that are killed: the next one goes on, and what is held at the end is what the log gives.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use es_runtime::prelude::*;
use es_runtime::store::EventStore as _;
use es_runtime::testing::fail_points;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::flow::claims::{with, without};
use crate::place::{File, Place, at_every_place, at_the_parents_place, tell};

at_every_place! {
    a_build_that_is_killed_again_and_again_ends_with_the_keys_of_the_log,
    a_build_that_is_killed_before_its_end_is_stored_is_not_in_force,
}

/// The process kills itself when it comes by this place.
const FAIL_POINT: &str = "ES_TEST_FAIL_POINT";

const MEMBERS: usize = 60;

/// Members of whom each third leaves, in a log of some pages.
async fn fill<P: Place>(place: &P) {
    let club = without::open(&place.open().await).await;
    for number in 0..MEMBERS {
        let member = without::join(&club, &format!("member {number}")).await.unwrap();
        if number % 3 == 0 {
            club.dispatch(without::Leave { member }).await.unwrap();
        }
    }
    club.shutdown().await;
}

fn start(place: &impl Place, fail_point: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["crash::claims::builder", "--exact", "--ignored", "--nocapture"]);
    tell(place, &mut command);
    if let Some(point) = fail_point {
        command.env(FAIL_POINT, point);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Reads what a child tells, and kills it after some pages. Gives the positions that it told.
fn pages(mut child: Child, enough: usize) -> Vec<u64> {
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some(position) = line.strip_prefix("page ").and_then(|position| position.parse().ok()) else { continue };
        told.push(position);
        if told.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

async fn is_in_force<P: Place>(place: &P) -> bool {
    let store = place.open().await;
    match App::<with::Club, _>::builder(store.clone()).build().await {
        Ok(club) => {
            club.shutdown().await;
            true
        }
        Err(_) => {
            store.close().await;
            false
        }
    }
}

async fn check<P: Place>(place: &P) {
    let club = with::open(&place.open().await).await;
    for number in 0..MEMBERS {
        let joined = with::join(&club, &format!("member {number}")).await;
        assert_eq!(joined.is_err(), number % 3 != 0, "member {number}: {joined:?}");
    }
    club.shutdown().await;
}

async fn a_build_that_is_killed_again_and_again_ends_with_the_keys_of_the_log<P: Place>() {
    let place = P::new();
    fill(&place).await;
    let mut last = 0;
    for round in 0.. {
        assert!(round < 40, "no end: {last}");
        let told = pages(start(&place, None), 1 + round % 3);
        // No page is read twice.
        assert!(told.iter().all(|position| *position > last), "{told:?} behind {last}");
        last = told.last().copied().unwrap_or(last);
        if told.is_empty() {
            break;
        }
    }
    assert!(is_in_force(&place).await);
    check(&place).await;
}

async fn a_build_that_is_killed_before_its_end_is_stored_is_not_in_force<P: Place>() {
    let place = P::new();
    fill(&place).await;
    pages(start(&place, Some("claims.replaced")), usize::MAX);
    assert!(!is_in_force(&place).await);
    let told = pages(start(&place, None), usize::MAX);
    assert_eq!(told, [0; 0], "all pages were stored");
    assert!(is_in_force(&place).await);
    check(&place).await;
}

/// Programs from before the store knew rules insert events without saying what they know.
#[tokio::test]
async fn a_program_from_before_the_rules_stores_no_event_that_claims() {
    let place = File::new();
    let old = |kind: &str, version: u32| {
        format!(
            "INSERT INTO event_log (stream_no, version, event_id, kind, schema_version, body, meta, at) \
             VALUES (1, {version}, x'00', '{kind}', 1, x'7b7d', x'7b7d', 0)"
        )
    };
    let club = with::open(&place.open().await).await;
    with::join(&club, "ann").await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(place.path()).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(old("Greeted", 2))).execute(&mut connection).await.unwrap();
    for kind in ["Joined", "Moved", "Left"] {
        let refused = sqlx::raw_sql(AssertSqlSafe(old(kind, 3))).execute(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains("claims other keys"), "{refused}");
    }
    connection.close().await.unwrap();
    club.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child process"]
async fn builder() {
    if let Ok(point) = std::env::var(FAIL_POINT) {
        fail_points::on_reach(move |reached| {
            if reached == point {
                let me = std::process::id().to_string();
                Command::new("kill").args(["-9", &me]).status().unwrap();
                std::thread::park();
            }
        });
    }
    at_the_parents_place!(build);
}

async fn build(place: impl Place) {
    let builder = App::<with::Club, _>::builder(place.open().await).limits(|limits| limits.page = 7).build_claims();
    let told = builder.on_progress(|progress| {
        let line = format!("\npage {}\n", progress.done);
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    });
    told.await.unwrap();
}
