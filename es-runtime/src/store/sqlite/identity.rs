//! Ids of other systems.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::append::{json_rows, quote};
use crate::store::ExternalId;

/// Looks an id up.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    external: &ExternalId,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT key FROM identities WHERE tenant = ? AND category = ? AND source = ? AND external = ?")
        .bind(&external.tenant)
        .bind(&external.category)
        .bind(&external.source)
        .bind(&external.id)
        .fetch_optional(connection)
        .await
}

/// Gives each id its key, in order: the stored one, else the first candidate asked for. One statement stores all new ones.
pub(super) async fn identify(
    connection: &mut SqliteConnection,
    wanted: &[(&ExternalId, &str)],
) -> Result<Vec<Option<String>>, sqlx::Error> {
    let index = json_rows(wanted, |text, (external, candidate)| {
        for part in [&external.tenant, &external.category, &external.source, &external.id] {
            quote(text, part);
            text.push(',');
        }
        quote(text, candidate);
    });
    sqlx::query(
        "INSERT INTO identities (tenant, category, source, external, key) \
         SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3, e.value->>4 FROM json_each(?) AS e WHERE true \
         ON CONFLICT DO NOTHING",
    )
    .bind(&index)
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT e.key, i.key FROM json_each(?) AS e CROSS JOIN identities AS i ON i.tenant = e.value->>0 \
         AND i.category = e.value->>1 AND i.source = e.value->>2 AND i.external = e.value->>3",
    )
    .bind(&index)
    .fetch_all(connection)
    .await?;
    let mut keys = vec![None; wanted.len()];
    for row in rows {
        let place: i64 = row.try_get(0)?;
        if let Some(key) = usize::try_from(place).ok().and_then(|place| keys.get_mut(place)) {
            *key = Some(row.try_get(1)?);
        }
    }
    Ok(keys)
}
