//! Reading snapshots. They are written with their commit.

use sqlx::sqlite::SqliteConnection;

use crate::event::StreamId;

/// Gives version and state of a stream's snapshot, if it carries the fingerprint.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    stream: &StreamId,
    fingerprint: u64,
) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.version, p.state FROM streams AS s JOIN snapshots AS p ON p.stream_no = s.stream_no \
         WHERE s.tenant = ? AND s.category = ? AND s.key = ? AND p.fingerprint = ?",
    )
    .bind(stream.tenant())
    .bind(stream.category())
    .bind(stream.key())
    .bind(fingerprint.cast_signed())
    .fetch_optional(connection)
    .await
}
