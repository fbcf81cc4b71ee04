//! Rules of claims, and keys that are built from the log.
//!
//! Rules change while no append is in progress, so that an append which has compared them stands on them to its end.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::checkpoints::PATIENCE;
use super::error::{DbError, damaged};
use super::lookup::names;
use super::open::locks;
use super::pool::{End, reading};
use super::registry::number;
use super::switch::{hold_appends, lock};
use super::text::{escaped, unescaped};
use crate::event::{GlobalPosition, StreamId};
use crate::projection::BoxFuture;
use crate::store::claims::{Change, Scanned, StoredRules, changes, target};
use crate::store::{
    BuildClaimsError, ClaimBuild, ClaimPage, ClaimRegistry, ClaimsDiffer, ClaimsStep, DuplicateClaim, DuplicateClaims,
    EventClaims, StoreError,
};

/// How often the locks are tried for, and how long it is waited for each: whoever waits for the append's lock holds up those who come later.
const TRIES: u32 = 10;
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '1s'";

/// What is known of rules and of the build in progress.
struct Registry {
    rules: Vec<StoredRules>,
    build: Option<ClaimBuild>,
}

impl ClaimRegistry for PostgresStore {
    async fn register_claims(&self, declared: &[EventClaims]) -> Result<Vec<ClaimsDiffer>, StoreError> {
        let Some(scanned) = self.scan(declared).await? else { return Ok(Vec::new()) };
        let asked: Arc<(Vec<EventClaims>, Scanned)> = Arc::new((declared.to_vec(), scanned));
        self.alone("registering claims", move |connection| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { register(connection, &asked.0, &asked.1).await })
        })
        .await
    }

    async fn begin_claims(&self, declared: &[EventClaims]) -> Result<Option<ClaimBuild>, BuildClaimsError> {
        let Some(scanned) = self.scan(declared).await? else { return Ok(None) };
        let asked: Arc<(Vec<EventClaims>, Scanned)> = Arc::new((declared.to_vec(), scanned));
        self.alone("beginning to build claims", move |connection| {
            let asked = Arc::clone(&asked);
            Box::pin(async move { begin(connection, &asked.0, &asked.1).await })
        })
        .await?
    }

    async fn store_claims(&self, page: ClaimPage) -> Result<ClaimsStep, StoreError> {
        let opening = self.opening(&[]);
        self.work("storing claims", opening, move |connection| Box::pin(async move { store(connection, &page).await }))
            .await
    }

    async fn finish_claims(&self, build: &ClaimBuild) -> Result<ClaimsStep, StoreError> {
        let build = Arc::new(build.clone());
        self.alone("putting claims in force", move |connection| {
            let build = Arc::clone(&build);
            Box::pin(async move { finish(connection, &build).await })
        })
        .await
    }
}

impl PostgresStore {
    /// Looks for the events whose rules differ in the log: all of it, if there are none, so that nobody waits for it. Returns `None` if no
    /// rules differ.
    async fn scan(&self, declared: &[EventClaims]) -> Result<Option<Scanned>, StoreError> {
        const DOING: &str = "reading which events claim keys";
        let registry = reading!(self, DOING, connection => registry(connection).await)?;
        let changes = Arc::new(changes(&registry.rules, declared));
        if changes.is_empty() {
            return Ok(None);
        }
        let era = self.shared.place.histories.now().number;
        let head = reading!(self, DOING, connection => head(connection).await)?;
        // What is in progress may still come in front of the head.
        let passed = tokio::time::timeout(PATIENCE, self.shared.horizon.pass(era, head)).await;
        passed.map_err(|_| StoreError::Locked { waited: PATIENCE })??;
        let opening = format!("{}; {SETTINGS}", self.opening(&[]));
        let scanned = self.work(DOING, opening, move |connection| {
            Box::pin(async move {
                let mut scanned = Scanned::new(head);
                for change in &*changes {
                    let StoredRules { aggregate, event, .. } = &change.stored;
                    let is_stored = contains(connection, aggregate, event, change.after).await?;
                    scanned.saw(change, is_stored);
                }
                Ok(End::RollBack(scanned))
            })
        });
        scanned.await.map(Some)
    }

    /// Runs something in a transaction while no append is in progress, and nobody else looks at the rules.
    async fn alone<T: Send + 'static>(
        &self,
        doing: &'static str,
        run: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<End<T>, DbError>> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let (class, run) = (self.shared.lock_class, Arc::new(run));
        let opening = format!("{}; {SETTINGS}", self.opening(&[]));
        let mut tries = TRIES;
        loop {
            let run = Arc::clone(&run);
            let done = self.work(doing, opening.clone(), move |connection| {
                Box::pin(async move {
                    hold_appends(connection, class).await?;
                    lock(connection, class, locks::REGISTRY).await?;
                    run(connection).await
                })
            });
            match done.await {
                Err(StoreError::Locked { .. }) if tries > 1 => tries -= 1,
                done => return done,
            }
        }
    }
}

async fn registry(connection: &mut PgConnection) -> Result<Registry, DbError> {
    let rows = sqlx::query("SELECT category, kind, rules, built, begun FROM claim_rules ORDER BY category, kind")
        .fetch_all(&mut *connection)
        .await?;
    let rules = rows.iter().map(|row| {
        let begun: Option<i64> = row.try_get(4)?;
        let (aggregate, event) = (unescaped(row.try_get(0)?), unescaped(row.try_get(1)?));
        let (rules, built) = (row.try_get(2)?, row.try_get(3)?);
        Ok(StoredRules { aggregate, event, rules, built, begun: begun.map(i64::cast_unsigned) })
    });
    let rules = rules.collect::<Result<_, DbError>>()?;
    let row = sqlx::query("SELECT target, position FROM claim_build").fetch_optional(connection).await?;
    let build = row.map(|row| {
        let position = GlobalPosition::new(number(&row, 1, "claim_build")?);
        Ok::<_, DbError>(ClaimBuild { target: row.try_get(0)?, position })
    });
    Ok(Registry { rules, build: build.transpose()? })
}

async fn head(connection: &mut PgConnection) -> Result<u64, DbError> {
    let head: i64 =
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM event_log").fetch_one(connection).await?;
    Ok(head.cast_unsigned())
}

/// Tells whether the log contains an event behind a position.
async fn contains(connection: &mut PgConnection, aggregate: &str, event: &str, after: u64) -> Result<bool, DbError> {
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM event_log AS l JOIN streams AS s ON s.stream_no = l.stream_no \
         WHERE l.position > $1 AND l.kind = $2 AND s.category = $3)",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(escaped(event))
    .bind(escaped(aggregate))
    .fetch_one(connection)
    .await?;
    Ok(found)
}

/// As [`contains`], where the log was scanned before.
async fn has_history(connection: &mut PgConnection, change: &Change, scanned: &Scanned) -> Result<bool, DbError> {
    let Some(after) = scanned.after(change) else { return Ok(true) };
    contains(connection, &change.stored.aggregate, &change.stored.event, after).await
}

async fn register(
    connection: &mut PgConnection,
    declared: &[EventClaims],
    scanned: &Scanned,
) -> Result<End<Vec<ClaimsDiffer>>, DbError> {
    let Registry { rules, build } = registry(connection).await?;
    let (mut differ, mut ready) = (Vec::new(), Vec::new());
    for change in changes(&rules, declared) {
        let is_stored = has_history(connection, &change, scanned).await?;
        if is_stored || change.stored.begun.is_some() || change.concerns(build.as_ref()) {
            differ.push(change.differ());
        } else {
            ready.push(change.in_force());
        }
    }
    // A program that does not start changes nothing.
    if ready.is_empty() || !differ.is_empty() {
        return Ok(End::RollBack(differ));
    }
    put(connection, &ready).await?;
    Ok(End::Commit(differ))
}

async fn begin(
    connection: &mut PgConnection,
    declared: &[EventClaims],
    scanned: &Scanned,
) -> Result<End<Result<Option<ClaimBuild>, BuildClaimsError>>, DbError> {
    let Registry { rules, build } = registry(connection).await?;
    let (mut ready, mut building) = (Vec::new(), Vec::new());
    for change in changes(&rules, declared) {
        let is_stored = has_history(connection, &change, scanned).await?;
        if change.needs_build(build.as_ref(), is_stored) { &mut building } else { &mut ready }.push(change);
    }
    let target = match target(&rules, declared, &building) {
        Ok(target) => target,
        Err(error) => return Ok(End::RollBack(Err(error))),
    };
    let head = head(connection).await?;
    let restored = ready.iter().any(Change::is_restored);
    let builds = target.is_some().then_some(head);
    let rows: Vec<_> = ready
        .into_iter()
        .map(|change| change.ready(builds))
        .chain(building.into_iter().map(|change| change.begun(head)))
        .collect();
    put(connection, &rows).await?;
    let Some(target) = target else {
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM claim_rules WHERE begun IS NOT NULL)")
            .fetch_one(&mut *connection)
            .await?;
        if restored || !left {
            drop_build(connection).await?;
        }
        return Ok(End::Commit(Ok(None)));
    };
    if let Some(build) = build.filter(|build| build.target == target) {
        return Ok(End::Commit(Ok(Some(build))));
    }
    drop_build(connection).await?;
    sqlx::query("INSERT INTO claim_build (one, target, position) VALUES (1, $1, 0)")
        .bind(&target)
        .execute(connection)
        .await?;
    Ok(End::Commit(Ok(Some(ClaimBuild { target, position: GlobalPosition::START }))))
}

/// Stores the rules of events.
async fn put(connection: &mut PgConnection, rows: &[StoredRules]) -> Result<(), DbError> {
    for StoredRules { aggregate, event, rules, built, begun } in rows {
        sqlx::query(
            "INSERT INTO claim_rules (category, kind, rules, built, begun) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (category, kind) DO UPDATE SET rules = excluded.rules, built = excluded.built, begun = excluded.begun",
        )
        .bind(escaped(aggregate))
        .bind(escaped(event))
        .bind(rules)
        .bind(built)
        .bind(begun.map(u64::cast_signed))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn drop_build(connection: &mut PgConnection) -> Result<(), DbError> {
    for sql in ["DELETE FROM claim_build", "DELETE FROM claim_holders"] {
        sqlx::query(sql).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn store(connection: &mut PgConnection, page: &ClaimPage) -> Result<End<ClaimsStep>, DbError> {
    // The build's row first: of two processes that read the same page one waits here, and finds that it has moved.
    let moved = sqlx::query("UPDATE claim_build SET position = $1 WHERE target = $2 AND position = $3")
        .bind(page.to.get().cast_signed())
        .bind(&page.build.target)
        .bind(page.build.position.get().cast_signed())
        .execute(&mut *connection)
        .await?;
    if moved.rows_affected() == 0 {
        let stored = registry(connection).await?.build;
        return Ok(End::RollBack(page.build.differs_from(stored.as_ref()).unwrap_or(ClaimsStep::Moved)));
    }
    let freed = "DELETE FROM claim_holders AS h USING unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) \
        AS n (tenant, category, stream, set_name, key) JOIN streams AS s \
        ON s.tenant = n.tenant AND s.category = n.category AND s.key = n.stream \
        WHERE h.tenant = n.tenant AND h.set_name = n.set_name AND h.key = n.key AND h.stream_no = s.stream_no";
    let held = "INSERT INTO claim_holders (tenant, set_name, key, stream_no) SELECT n.tenant, n.set_name, n.key, s.stream_no \
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (tenant, category, stream, set_name, key) \
        JOIN streams AS s ON s.tenant = n.tenant AND s.category = n.category AND s.key = n.stream ON CONFLICT DO NOTHING";
    for (sql, is_held) in [(freed, false), (held, true)] {
        let holders = || page.holders.iter().filter(|holder| holder.held == is_held);
        let streams = names(holders().map(|holder| &holder.stream));
        sqlx::query(sql)
            .bind(streams.tenants)
            .bind(streams.categories)
            .bind(streams.keys)
            .bind(holders().map(|holder| escaped(&holder.set)).collect::<Vec<_>>())
            .bind(holders().map(|holder| escaped(&holder.key)).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    Ok(End::Commit(ClaimsStep::Stored))
}

async fn finish(connection: &mut PgConnection, build: &ClaimBuild) -> Result<End<ClaimsStep>, DbError> {
    let Registry { rules, build: stored } = registry(connection).await?;
    if let Some(step) = build.differs_from(stored.as_ref()) {
        return Ok(End::RollBack(step));
    }
    for (aggregate, event) in build.events() {
        if contains(connection, aggregate, event, build.position.get()).await? {
            return Ok(End::RollBack(ClaimsStep::Behind));
        }
    }
    let duplicates = duplicates(connection).await?;
    let mut ended = Vec::new();
    for row in rules.into_iter().filter(|row| row.begun.is_some()) {
        let begun = row.begun.unwrap_or_default();
        if duplicates.count == 0 {
            ended.push(row.in_force());
        } else if !contains(connection, &row.aggregate, &row.event, begun).await? {
            ended.push(row.restored());
        }
    }
    put(connection, &ended).await?;
    if duplicates.count == 0 {
        let sets: Vec<&str> = build.sets().collect();
        sqlx::query("SELECT es_replace_claims($1)").bind(sets).execute(&mut *connection).await?;
    }
    drop_build(connection).await?;
    crate::fail_point::reached("claims.replaced");
    let step = if duplicates.count == 0 { ClaimsStep::InForce } else { ClaimsStep::Duplicates(duplicates) };
    Ok(End::Commit(step))
}

/// Finds the keys with more than one holder.
async fn duplicates(connection: &mut PgConnection) -> Result<DuplicateClaims, DbError> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM claim_holders GROUP BY tenant, set_name, key HAVING count(*) > 1) AS d",
    )
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT d.set_name, d.key, a.tenant, a.category, a.key, b.tenant, b.category, b.key FROM \
         (SELECT tenant, set_name, key, min(stream_no) AS one, max(stream_no) AS other FROM claim_holders \
         GROUP BY tenant, set_name, key HAVING count(*) > 1 ORDER BY tenant, set_name, key LIMIT $1) AS d \
         LEFT JOIN streams AS a ON a.stream_no = d.one LEFT JOIN streams AS b ON b.stream_no = d.other \
         ORDER BY d.tenant, d.set_name, d.key",
    )
    .bind(i64::try_from(DuplicateClaims::LISTED).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let listed = rows.iter().map(|row| {
        let stream = |from: usize| {
            let part = |column: usize| row.try_get::<Option<String>, _>(from + column).map(|part| part.map(unescaped));
            match (part(0)?, part(1)?, part(2)?) {
                (Some(tenant), Some(category), Some(key)) => Ok(StreamId::new(category, key).with_tenant(tenant)),
                _ => Err(DbError::Store(damaged("table claim_holders", "a stream of it is not there"))),
            }
        };
        let (set, key) = (unescaped(row.try_get(0)?), unescaped(row.try_get(1)?));
        Ok(DuplicateClaim { set, key, streams: [stream(2)?, stream(5)?] })
    });
    Ok(DuplicateClaims { count: count.cast_unsigned(), listed: listed.collect::<Result<_, DbError>>()? })
}
