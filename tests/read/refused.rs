//! Values that the database refuses. That is no outage: a command fails for good, an event of a projection is put aside, and everybody else goes on.

use std::time::{Duration, Instant};

use es_runtime::prelude::*;

use super::shared_rows::{Begin, Book, Page, Pens};
use crate::crash::damage::raw;
use crate::place::{File, Place};
use crate::postgres::schema;

/// Every class of errors of PostgreSQL that values cause: what is not of a type's kind (22), constraints (23), and limits of the server (54).
/// The codes are those of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
const OF_VALUES: [&str; 16] = [
    "22000", "22001", "22003", "22007", "22008", "22012", "22021", "22P02", "22P05", "23502", "23503", "23505",
    "23514", "23P01", "54000", "54001",
];

/// Refuses pages whose names end with a code, as the server does where a value causes that.
const REFUSES: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF NEW.page LIKE 'bad-%' THEN RAISE EXCEPTION 'refused' USING ERRCODE = substr(NEW.page, 5); END IF; RETURN NEW; END $$; \
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON pages_v1 FOR EACH ROW EXECUTE FUNCTION refuse()";

fn begin(name: &str, code: &str) -> Begin {
    Begin { pen: format!("{name} {code}"), page: format!("bad-{code}") }
}

/// Asserts what holds for a command, and for an event that a worker projects. `says`: what the database says.
async fn are_refused<P: Place>(place: &P, codes: &[&str], says: &str) {
    let book: App<Book, _> = App::builder(place.open().await).build().await.unwrap();
    for code in codes {
        let error = book.dispatch(begin("command", code)).await.unwrap_err();
        let DispatchError::NotStorable { reason, .. } = &error else { panic!("{code}: {error:?}") };
        assert!(reason.contains(says) && !error.is_retryable(), "{code}: {reason}");
    }
    assert_eq!(book.event_count().await.unwrap(), 0);
    // A program without the projection leaves the events to the workers.
    let plain: App<Pens, _> = App::builder(place.open().await).build().await.unwrap();
    for code in codes {
        plain.dispatch(begin("event", code)).await.unwrap();
    }
    plain.dispatch(Begin { pen: "good".into(), page: "good".into() }).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let letters = book.subscriptions().letters("pages", None, 100).await.unwrap();
        let good = book.table::<Page>().get(&"good".to_owned()).await.unwrap();
        if letters.len() == codes.len() && good.is_some() {
            assert!(letters.iter().all(|it| it.letter.cause.as_ref().is_some_and(|cause| cause.contains(says))));
            return;
        }
        assert!(Instant::now() < deadline, "{letters:?}, {good:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_refuses_of_values_is_no_outage() {
    let schema = schema!();
    let made: App<Book, _> = App::builder(schema.open().await).build().await.unwrap();
    made.shutdown().await;
    schema.raw(REFUSES).await;
    are_refused(&schema, &OF_VALUES, "refused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sqlite_refuses_of_values_is_no_outage() {
    for (code, refuse, says) in [
        ("constraint", "SELECT RAISE(ABORT, 'refused')", "refused"),
        ("kind", "INSERT INTO numbers (n) VALUES ('refused')", "datatype mismatch"),
        ("size", "INSERT INTO numbers (n) VALUES (length(zeroblob(2147483647)))", "too big"),
    ] {
        let file = File::new();
        let made: App<Book, _> = App::builder(file.open().await).build().await.unwrap();
        made.shutdown().await;
        let trigger = format!(
            "CREATE TABLE numbers (n INTEGER PRIMARY KEY); CREATE TRIGGER refuse BEFORE INSERT ON pages_v1 \
             WHEN NEW.page LIKE 'bad-%' BEGIN {refuse}; END"
        );
        raw(file.path(), &trigger).await;
        are_refused(&file, &[code], says).await;
    }
}
