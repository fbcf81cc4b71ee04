// The programs of `mod.rs`, which names `Connection`, `Store` and what the database says. Included: the types are as concrete as those of
// a program. The SQL is understood by both.

use std::time::Duration;

use es_runtime::error::{DispatchError, QueryError};
use es_runtime::prelude::*;

use crate::read::child::account;
use crate::read::domain::{Account, Core, Deposit, Deposited, Open, Opened, POISON, SLOW, Withdraw, Withdrawn};
use crate::random::Random;

/// Every event once, in SQL: no key that would hide a double.
#[derive(Default)]
pub struct Journal;

#[projection(name = "journal", version = 1)]
impl Journal {
    #[async_projection]
    async fn opened(&self, db: &mut Connection, event: &Recorded<Opened>) -> Result<(), sqlx::Error> {
        book(db, event.position().get(), &event.id_of::<Account>(), 0).await
    }

    #[async_projection]
    async fn deposited(&self, db: &mut Connection, events: &[Recorded<Deposited>]) -> Result<(), sqlx::Error> {
        for event in events {
            book(db, event.position().get(), &event.id_of::<Account>(), event.cents).await?;
        }
        Ok(())
    }

    #[reset]
    async fn reset(&self, db: &mut Connection) -> Result<(), sqlx::Error> {
        let table = "DROP TABLE IF EXISTS journal; CREATE TABLE journal (position BIGINT, account TEXT, cents BIGINT)";
        sqlx::raw_sql(table).execute(db).await?;
        Ok(())
    }
}

async fn book(db: &mut Connection, position: u64, account: &Uuid, cents: i64) -> Result<(), sqlx::Error> {
    let position = i64::try_from(position).unwrap();
    let insert = sqlx::query("INSERT INTO journal VALUES ($1, $2, $3)").bind(position).bind(account.to_string());
    insert.bind(cents).execute(db).await?;
    Ok(())
}

/// In the append's transaction: what is not covered is refused by a constraint of the table.
#[derive(Default)]
pub struct Cover;

#[projection(name = "cover", version = 1)]
impl Cover {
    #[sync_projection(priority = 2, timeout = "1s")]
    async fn deposited(&self, db: &mut Connection, event: &Recorded<Deposited>) -> Result<(), sqlx::Error> {
        change(db, &event.id_of::<Account>(), event.cents).await
    }

    #[sync_projection(priority = 1, timeout = "100ms")]
    async fn withdrawn(&self, db: &mut Connection, event: &Recorded<Withdrawn>) -> Result<(), sqlx::Error> {
        assert!(event.cents != POISON, "poison");
        change(db, &event.id_of::<Account>(), -event.cents).await?;
        if event.cents == SLOW {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Ok(())
    }

    #[reset]
    async fn reset(&self, db: &mut Connection) -> Result<(), sqlx::Error> {
        let table = "DROP TABLE IF EXISTS cover; \
            CREATE TABLE cover (account TEXT PRIMARY KEY, cents BIGINT CHECK (cents >= 0))";
        sqlx::raw_sql(table).execute(db).await?;
        Ok(())
    }
}

async fn change(db: &mut Connection, account: &Uuid, cents: i64) -> Result<(), sqlx::Error> {
    // The row first: a constraint looks at what is to be inserted, too.
    let account = account.to_string();
    sqlx::query("INSERT INTO cover VALUES ($1, 0) ON CONFLICT DO NOTHING").bind(&account).execute(&mut *db).await?;
    sqlx::query("UPDATE cover SET cents = cents + $1 WHERE account = $2").bind(cents).bind(account).execute(db).await?;
    Ok(())
}

#[query(output = (i64, i64))]
pub struct JournalTotals {}

#[query_handler]
pub async fn journal_totals(_: JournalTotals, db: &mut Connection) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as("SELECT count(*), CAST(coalesce(sum(cents), 0) AS BIGINT) FROM journal").fetch_one(db).await
}

#[query(output = i64)]
pub struct CoverOf {
    pub account: Uuid,
}

#[query_handler]
pub async fn cover_of(query: CoverOf, db: &mut Connection) -> Result<i64, sqlx::Error> {
    let cents = sqlx::query_scalar("SELECT cents FROM cover WHERE account = $1").bind(query.account.to_string());
    Ok(cents.fetch_optional(db).await?.unwrap_or(0))
}

/// What a query must not do.
#[query(output = ())]
pub struct Meddle {}

#[query_handler]
pub async fn meddle(_: Meddle, db: &mut Connection) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM journal").execute(db).await.map(drop)
}

domain! {
    pub Books = "books";
    domains: [Core];
    queries: [JournalTotals, CoverOf, Meddle];
    projections: [Journal, Cover]
}

async fn books(store: Store) -> App<Books, Store> {
    App::builder(store).build().await.unwrap()
}

on_every_place! {
    every_event_reaches_the_connection_once_through_restarts_and_a_rebuild,
    a_constraint_of_the_users_table_fails_the_command_alone,
    a_statement_that_takes_too_long_fails_the_command_and_nothing_is_left,
    a_query_reads_what_its_commands_did_and_cannot_write,
}

async fn every_event_reaches_the_connection_once_through_restarts_and_a_rebuild(store: Store) {
    let mut random = Random::new(5);
    let (mut events, mut total) = (0, 0);
    for round in 0..6 {
        let app = books(store.clone()).await;
        for _ in 0..40 {
            let account = account(random.below(5));
            if app.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.is_ok() {
                events += 1;
            }
            let cents = i64::try_from(random.below(9)).unwrap();
            if app.dispatch(Deposit { account, branch: 0, cents: vec![cents, 1] }).await.is_ok() {
                (events, total) = (events + 2, total + cents + 1);
            }
        }
        if round == 3 {
            app.subscriptions().rebuild("journal").await.unwrap();
        }
        if round % 2 == 0 {
            app.caught_up().await.unwrap();
        }
        // The workers end wherever they are.
        drop(app);
    }
    let app = books(store).await;
    app.caught_up().await.unwrap();
    assert_eq!(app.query(JournalTotals {}).await.unwrap(), (events, total));
}

async fn a_constraint_of_the_users_table_fails_the_command_alone(store: Store) {
    let app = books(store).await;
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.unwrap();
    app.dispatch(Deposit { account, branch: 0, cents: vec![5] }).await.unwrap();
    let withdraw = |cents| app.dispatch(Withdraw { account, cents }).into_future();
    let answers = futures_util::future::join_all([2, 9, POISON, 3].map(withdraw)).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    let causes: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    for (cause, text) in causes.iter().zip([CHECK_FAILED, "panicked: poison"]) {
        let DispatchError::SyncProjectionFailed { projection: "cover", cause } = cause else { panic!("{cause}") };
        assert!(cause.to_string().contains(text), "{cause}");
    }
    assert_eq!(app.query(CoverOf { account }).await.unwrap(), 0);
    assert_eq!(app.load::<Account>(account).await.unwrap().version(), 4);
}

async fn a_statement_that_takes_too_long_fails_the_command_and_nothing_is_left(store: Store) {
    let app = books(store).await;
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.unwrap();
    app.dispatch(Deposit { account, branch: 0, cents: vec![1_000] }).await.unwrap();
    let error = app.dispatch(Withdraw { account, cents: SLOW }).await.unwrap_err();
    let DispatchError::SyncProjectionTimedOut { projection: "cover", after } = error else { panic!("{error}") };
    assert_eq!(after, Duration::from_millis(100));
    assert_eq!(app.query(CoverOf { account }).await.unwrap(), 1_000);
    app.dispatch(Withdraw { account, cents: 1 }).await.unwrap();
    assert_eq!(app.query(CoverOf { account }).await.unwrap(), 999);
    assert_eq!(app.load::<Account>(account).await.unwrap().version(), 3);
}

async fn a_query_reads_what_its_commands_did_and_cannot_write(store: Store) {
    let app = books(store).await;
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.unwrap();
    app.caught_up().await.unwrap();
    let error = app.query(Meddle {}).await.unwrap_err();
    assert!(matches!(&error, QueryError::Domain(error) if error.to_string().contains(READ_ONLY)), "{error}");
    assert_eq!(app.query(JournalTotals {}).await.unwrap(), (1, 0));
}
