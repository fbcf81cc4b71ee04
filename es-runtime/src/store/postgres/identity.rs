//! Ids of other systems.

use sqlx::postgres::PgConnection;

use super::text::{escaped, unescaped};
use crate::store::ExternalId;

/// Looks an id up.
pub(super) async fn find(connection: &mut PgConnection, external: &ExternalId) -> Result<Option<String>, sqlx::Error> {
    let key: Option<String> = sqlx::query_scalar(
        "SELECT key FROM identities WHERE tenant = $1 AND category = $2 AND source = $3 AND external = $4",
    )
    .bind(escaped(&external.tenant))
    .bind(escaped(&external.category))
    .bind(escaped(&external.source))
    .bind(escaped(&external.id))
    .fetch_optional(connection)
    .await?;
    Ok(key.map(unescaped))
}

/// Makes a key the id's, if it has none. Whoever asks at the same time waits until it is stored, or not.
pub(super) async fn propose(
    connection: &mut PgConnection,
    external: &ExternalId,
    candidate: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO identities (tenant, category, source, external, key) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(escaped(&external.tenant))
    .bind(escaped(&external.category))
    .bind(escaped(&external.source))
    .bind(escaped(&external.id))
    .bind(escaped(candidate))
    .execute(connection)
    .await
    .map(drop)
}
