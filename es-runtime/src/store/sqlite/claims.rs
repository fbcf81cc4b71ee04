//! Rules of claims, and keys that are built from the log.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::SqliteStore;
use super::append::{json_rows, quote};
use super::error::{DbError, damaged};
use super::job::End;
use super::lookup::texts;
use super::registry::number;
use super::rows::read;
use super::script::Script;
use crate::event::{GlobalPosition, StreamId};
use crate::store::claims::{Change, Scanned, StoredRules, changes, target};
use crate::store::{
    BuildClaimsError, ClaimBuild, ClaimPage, ClaimRegistry, ClaimsDiffer, ClaimsStep, DuplicateClaim, DuplicateClaims,
    EventClaims, StoreError,
};

/// What is known of rules and of the build in progress.
struct Registry {
    rules: Vec<StoredRules>,
    build: Option<ClaimBuild>,
}

impl ClaimRegistry for SqliteStore {
    async fn register_claims(&self, declared: &[EventClaims]) -> Result<Vec<ClaimsDiffer>, StoreError> {
        let Some(scanned) = self.scan(declared).await? else { return Ok(Vec::new()) };
        let declared = declared.to_vec();
        self.work("registering claims", move |connection| {
            Box::pin(async move { register(connection, &declared, &scanned).await })
        })
        .await
    }

    async fn begin_claims(&self, declared: &[EventClaims]) -> Result<Option<ClaimBuild>, BuildClaimsError> {
        let Some(scanned) = self.scan(declared).await? else { return Ok(None) };
        let declared = declared.to_vec();
        self.work("beginning to build claims", move |connection| {
            Box::pin(async move { begin(connection, &declared, &scanned).await })
        })
        .await?
    }

    async fn store_claims(&self, page: ClaimPage) -> Result<ClaimsStep, StoreError> {
        self.work("storing claims", move |connection| Box::pin(async move { store(connection, &page).await })).await
    }

    async fn finish_claims(&self, build: &ClaimBuild) -> Result<ClaimsStep, StoreError> {
        let build = build.clone();
        self.work("putting claims in force", move |connection| {
            Box::pin(async move { finish(connection, &build).await })
        })
        .await
    }
}

impl SqliteStore {
    /// Looks for the events whose rules differ in the log: all of it, if there are none, so that nobody waits for it. Returns `None` if no
    /// rules differ.
    async fn scan(&self, declared: &[EventClaims]) -> Result<Option<Scanned>, StoreError> {
        let mut reader = self.reader().await?;
        let scanned = scan(reader.connection()?, declared).await;
        self.answer(reader, scanned, "reading which events claim keys")
    }
}

async fn scan(connection: &mut SqliteConnection, declared: &[EventClaims]) -> Result<Option<Scanned>, DbError> {
    let changes = changes(&registry(connection).await?.rules, declared);
    if changes.is_empty() {
        return Ok(None);
    }
    let mut scanned = Scanned::new(head(connection).await?);
    for change in changes {
        let StoredRules { aggregate, event, .. } = &change.stored;
        let is_stored = contains(connection, aggregate, event, change.after).await?;
        scanned.saw(&change, is_stored);
    }
    Ok(Some(scanned))
}

async fn registry(connection: &mut SqliteConnection) -> Result<Registry, DbError> {
    let mut script = Script::default();
    script.add("SELECT category, kind, rules, built, begun FROM claim_rules ORDER BY category, kind");
    let rules = read(connection, script, |row| {
        let begun: Option<i64> = row.try_get(4)?;
        let (aggregate, event) = (row.try_get(0)?, row.try_get(1)?);
        let (rules, built) = (row.try_get(2)?, row.try_get(3)?);
        Ok(StoredRules { aggregate, event, rules, built, begun: begun.map(i64::cast_unsigned) })
    });
    let rules = rules.await?;
    let mut script = Script::default();
    script.add("SELECT target, position FROM claim_build");
    let build = read(connection, script, |row| {
        let position = GlobalPosition::new(number(&row, 1, "claim_build")?);
        Ok(ClaimBuild { target: row.try_get(0)?, position })
    });
    Ok(Registry { rules, build: build.await?.into_iter().next() })
}

async fn head(connection: &mut SqliteConnection) -> Result<u64, DbError> {
    let head: i64 =
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM event_log").fetch_one(connection).await?;
    Ok(head.cast_unsigned())
}

/// Tells whether the log contains an event behind a position.
async fn contains(
    connection: &mut SqliteConnection,
    aggregate: &str,
    event: &str,
    after: u64,
) -> Result<bool, DbError> {
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM event_log AS l CROSS JOIN streams AS s ON s.stream_no = l.stream_no \
         WHERE l.position > ? AND l.kind = ? AND s.category = ?)",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(event)
    .bind(aggregate)
    .fetch_one(connection)
    .await?;
    Ok(found)
}

/// As [`contains`], where the log was scanned before.
async fn has_history(connection: &mut SqliteConnection, change: &Change, scanned: &Scanned) -> Result<bool, DbError> {
    let Some(after) = scanned.after(change) else { return Ok(true) };
    contains(connection, &change.stored.aggregate, &change.stored.event, after).await
}

async fn register(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
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
    let mut script = Script::default();
    script.add("INSERT INTO claim_build (one, target, position) VALUES (1, ?, 0)");
    script.bind(target.clone());
    script.run(connection).await?;
    Ok(End::Commit(Ok(Some(ClaimBuild { target, position: GlobalPosition::START }))))
}

/// Stores the rules of events, and has the log refuse those who do not know them.
async fn put(connection: &mut SqliteConnection, rows: &[StoredRules]) -> Result<(), DbError> {
    let mut script = Script::default();
    for StoredRules { aggregate, event, rules, built, begun } in rows {
        script.add(
            "INSERT INTO claim_rules (category, kind, rules, built, begun) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (kind, category) DO UPDATE SET rules = excluded.rules, built = excluded.built, begun = excluded.begun",
        );
        script.bind(aggregate.clone()).bind(event.clone()).bind(rules.clone()).bind(built.clone());
        script.bind(begun.map(u64::cast_signed));
    }
    script.run(connection).await?;
    // It stays when the last rules are taken away: a program that still knows some is refused.
    let kinds: Vec<String> = sqlx::query_scalar("SELECT DISTINCT kind FROM claim_rules WHERE rules <> ''")
        .fetch_all(&mut *connection)
        .await?;
    connection.execute("DROP TRIGGER IF EXISTS event_log_claims").await?;
    connection.execute(AssertSqlSafe(trigger(&kinds))).await?;
    Ok(())
}

/// The trigger that refuses events of programs with other rules. It names the events that claim, so that all others cost it a comparison.
fn trigger(kinds: &[String]) -> String {
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("'{}'", kind.replace('\'', "''"))).collect();
    format!(
        "CREATE TRIGGER event_log_claims BEFORE INSERT ON event_log WHEN (NEW.claims IS NOT NULL OR NEW.kind IN ({})) AND \
         coalesce(NEW.claims, '') <> coalesce((SELECT r.rules FROM claim_rules AS r WHERE r.kind = NEW.kind AND r.category = \
         (SELECT s.category FROM streams AS s WHERE s.stream_no = NEW.stream_no)), '') \
         BEGIN SELECT RAISE(ABORT, 'the program claims other keys with this event than the store knows'); END",
        kinds.join(", ")
    )
}

async fn drop_build(connection: &mut SqliteConnection) -> Result<(), DbError> {
    connection.execute("DELETE FROM claim_holders; DELETE FROM claim_build").await?;
    Ok(())
}

/// Finds out whether a build is where a caller thinks it is.
async fn at(connection: &mut SqliteConnection, build: &ClaimBuild) -> Result<Option<ClaimsStep>, DbError> {
    Ok(build.differs_from(registry(connection).await?.build.as_ref()))
}

async fn store(connection: &mut SqliteConnection, page: &ClaimPage) -> Result<End<ClaimsStep>, DbError> {
    if let Some(step) = at(connection, &page.build).await? {
        return Ok(End::RollBack(step));
    }
    let rows = |held: bool| {
        json_rows(page.holders.iter().filter(move |holder| holder.held == held), |text, holder| {
            texts(text, &[holder.stream.tenant(), holder.stream.category(), holder.stream.key()]);
            for part in [&holder.set, &holder.key] {
                text.push(',');
                quote(text, part);
            }
        })
    };
    let named = "SELECT s.tenant, e.value->>3, e.value->>4, s.stream_no FROM json_each(?) AS e CROSS JOIN streams AS s \
        ON s.tenant = e.value->>0 AND s.category = e.value->>1 AND s.key = e.value->>2";
    let mut script = Script::default();
    script.add(&format!("DELETE FROM claim_holders WHERE (tenant, set_name, key, stream_no) IN ({named})"));
    script.bind(rows(false));
    script.add(&format!("INSERT OR IGNORE INTO claim_holders (tenant, set_name, key, stream_no) {named}"));
    script.bind(rows(true));
    script.add("UPDATE claim_build SET position = ?");
    script.bind(page.to.get().cast_signed());
    script.run(connection).await?;
    Ok(End::Commit(ClaimsStep::Stored))
}

async fn finish(connection: &mut SqliteConnection, build: &ClaimBuild) -> Result<End<ClaimsStep>, DbError> {
    if let Some(step) = at(connection, build).await? {
        return Ok(End::RollBack(step));
    }
    for (aggregate, event) in build.events() {
        if contains(connection, aggregate, event, build.position.get()).await? {
            return Ok(End::RollBack(ClaimsStep::Behind));
        }
    }
    let duplicates = duplicates(connection).await?;
    let rules = registry(connection).await?.rules;
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
        replace_keys(connection, build).await?;
    }
    drop_build(connection).await?;
    crate::fail_point::reached("claims.replaced");
    let step = if duplicates.count == 0 { ClaimsStep::InForce } else { ClaimsStep::Duplicates(duplicates) };
    Ok(End::Commit(step))
}

/// Replaces the keys of the build's sets by those that were built. Only what differs is written.
async fn replace_keys(connection: &mut SqliteConnection, build: &ClaimBuild) -> Result<(), DbError> {
    let sets = json_rows(build.sets(), quote);
    let mut script = Script::default();
    script.add(
        "DELETE FROM claims WHERE set_name IN (SELECT e.value->>0 FROM json_each(?) AS e) AND NOT EXISTS \
         (SELECT 1 FROM claim_holders AS h WHERE h.tenant = claims.tenant AND h.set_name = claims.set_name \
         AND h.key = claims.key AND h.stream_no = claims.stream_no)",
    );
    script.bind(sets);
    script.add(
        "INSERT INTO claims (tenant, set_name, key, stream_no) \
         SELECT h.tenant, h.set_name, h.key, h.stream_no FROM claim_holders AS h WHERE true ON CONFLICT DO NOTHING",
    );
    script.run(connection).await?;
    Ok(())
}

/// Finds the keys with more than one holder.
async fn duplicates(connection: &mut SqliteConnection) -> Result<DuplicateClaims, DbError> {
    let grouped = "FROM claim_holders GROUP BY tenant, set_name, key HAVING count(*) > 1";
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM (SELECT 1 {grouped})")))
        .fetch_one(&mut *connection)
        .await?;
    let mut script = Script::default();
    script.add(&format!(
        "SELECT d.set_name, d.key, a.tenant, a.category, a.key, b.tenant, b.category, b.key FROM \
         (SELECT tenant, set_name, key, min(stream_no) AS one, max(stream_no) AS other {grouped} \
         ORDER BY tenant, set_name, key LIMIT {}) AS d \
         LEFT JOIN streams AS a ON a.stream_no = d.one LEFT JOIN streams AS b ON b.stream_no = d.other",
        DuplicateClaims::LISTED
    ));
    let listed = read(connection, script, |row| {
        let stream = |from: usize| {
            let part = |column: usize| row.try_get::<Option<String>, _>(from + column);
            match (part(0)?, part(1)?, part(2)?) {
                (Some(tenant), Some(category), Some(key)) => Ok(StreamId::new(category, key).with_tenant(tenant)),
                _ => Err(DbError::Store(damaged("table claim_holders", "a stream of it is not there"))),
            }
        };
        Ok(DuplicateClaim { set: row.try_get(0)?, key: row.try_get(1)?, streams: [stream(2)?, stream(5)?] })
    });
    Ok(DuplicateClaims { count: count.cast_unsigned(), listed: listed.await? })
}
