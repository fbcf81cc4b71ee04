//! Reading snapshots. They are written with their commit.

use sqlx::postgres::PgConnection;

use super::text::escaped;
use crate::event::StreamId;

/// Gives version and state of a stream's snapshot, if it carries the fingerprint.
pub(super) async fn find(
    connection: &mut PgConnection,
    stream: &StreamId,
    fingerprint: u64,
) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.version, p.state FROM streams AS s JOIN snapshots AS p ON p.stream_no = s.stream_no \
         WHERE s.tenant = $1 AND s.category = $2 AND s.key = $3 AND p.fingerprint = $4",
    )
    .bind(escaped(stream.tenant()))
    .bind(escaped(stream.category()))
    .bind(escaped(stream.key()))
    .bind(fingerprint.cast_signed())
    .fetch_optional(connection)
    .await
}
