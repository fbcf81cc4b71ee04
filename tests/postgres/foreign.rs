//! Transactions of others, who append through the functions of the schema with a connection of their own.

use es_runtime::event::{EventId, StreamId};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::Schema;

/// `es_append_claiming` with new streams and events, and nothing of the rest.
const APPEND: &str = "SELECT es_append_claiming('{}', '{}', '{}', $1, $2, array_fill(''::text, ARRAY[cardinality($2)]), \
    array_fill('account'::text, ARRAY[cardinality($2)]), $3, $4, $5, $6, $8, \
    array_fill(1::bigint, ARRAY[cardinality($4)]), $7, array_fill('{}'::bytea, ARRAY[cardinality($4)]), \
    array_fill(now(), ARRAY[cardinality($4)]), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', \
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";

/// An open transaction that appends.
pub struct Foreign(PgConnection);

impl Foreign {
    pub async fn begin(schema: &Schema) -> Self {
        Self::on(schema.connect().await).await
    }

    /// Begins on a connection whose search path is the schema.
    pub async fn on(mut connection: PgConnection) -> Self {
        connection.execute("BEGIN").await.unwrap();
        Self(connection)
    }

    /// Takes positions, as an append does, and writes nothing yet.
    pub async fn reserve(&mut self, events: i32) -> Vec<i64> {
        sqlx::query_scalar("SELECT es_reserve($1)").bind(events).fetch_one(&mut self.0).await.unwrap()
    }

    /// Appends the first events of a new stream, at positions that were reserved or at new ones. Gives the positions.
    pub async fn append(&mut self, positions: Option<&[i64]>, stream: &StreamId, bodies: &[String]) -> Vec<i64> {
        let events: Vec<_> = bodies.iter().map(|body| ("made", body.as_str())).collect();
        self.append_events(positions, stream, &events).await
    }

    /// The same with events of any kind.
    pub async fn append_events(
        &mut self,
        positions: Option<&[i64]>,
        stream: &StreamId,
        events: &[(&str, &str)],
    ) -> Vec<i64> {
        self.try_append_events(positions, stream, events).await.unwrap()
    }

    /// The same, where it may be refused.
    pub async fn try_append_events(
        &mut self,
        positions: Option<&[i64]>,
        stream: &StreamId,
        events: &[(&str, &str)],
    ) -> Result<Vec<i64>, sqlx::Error> {
        let number: i64 = sqlx::query_scalar("SELECT nextval('stream_numbers')").fetch_one(&mut self.0).await.unwrap();
        assert_eq!((stream.tenant(), stream.category()), ("", "account"));
        let ids: Vec<_> = events.iter().map(|_| *EventId::new_v7().as_uuid()).collect();
        sqlx::query_scalar(APPEND)
            .bind(positions)
            .bind(vec![number])
            .bind(vec![stream.key()])
            .bind(vec![number; events.len()])
            .bind((1..).take(events.len()).collect::<Vec<i64>>())
            .bind(ids)
            .bind(events.iter().map(|(_, body)| body.as_bytes()).collect::<Vec<_>>())
            .bind(events.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
            .fetch_one(&mut self.0)
            .await
    }

    /// Ends by `COMMIT`, `ROLLBACK`, or `PREPARE TRANSACTION`. Gives the connection.
    pub async fn end(mut self, how: &str) -> PgConnection {
        self.0.execute(AssertSqlSafe(how.to_owned())).await.unwrap();
        self.0
    }

    pub async fn commit(self) {
        self.end("COMMIT").await.close().await.unwrap();
    }

    pub async fn roll_back(self) {
        self.end("ROLLBACK").await.close().await.unwrap();
    }

    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
