//! Group commit through tokio-postgres: the store's own function, called with the same groups, and nothing around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use es_benches::Result;
use es_benches::ratios::write::Work;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::limit::{Columns, Row, Rows};
use crate::server::Schema;

/// How long a group waits for as many as came last time; as the store's default.
const LINGER: Duration = Duration::from_micros(150);

/// No new streams, claims, entries of the ledger or snapshots.
const APPEND: &str = "SELECT es_append_claiming('{}', '{}', '{}', NULL, '{}', '{}', '{}', '{}', $1, $2, $3, $4, $5, $6, $7, $8, \
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')";

/// A row, and who waits for its commit.
type Waiting = (Row, oneshot::Sender<()>);

/// Callers hand rows to a task, which commits them in groups.
pub(crate) struct GroupInserts {
    queue: mpsc::Sender<Waiting>,
    rows: Rows,
}

impl GroupInserts {
    /// Connects to a schema with the store's tables.
    pub(crate) async fn start(schema: &Schema, streams: usize) -> Result<Arc<Self>> {
        let (client, connection) = tokio_postgres::connect(schema.server.url(), NoTls).await?;
        // The connection's own task: it ends with the client.
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path = {}", schema.name)).await?;
        let append = client.prepare(APPEND).await?;
        let (queue, waiting) = mpsc::channel(4_096);
        // The writer: ends when the last sender is gone. An error ends it too, and the clients find the queue closed.
        tokio::spawn(async move {
            if let Err(error) = write_groups(&client, &append, waiting).await {
                eprintln!("tokio-postgres: {error}");
            }
        });
        Ok(Arc::new(Self { queue, rows: Rows::of(streams) }))
    }
}

impl Work for GroupInserts {
    async fn once(&self, _: usize, _: usize) -> Result<u64> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((self.rows.next()?, answer)).await?;
        answered.await?;
        Ok(1)
    }
}

async fn write_groups(client: &Client, append: &Statement, mut queue: mpsc::Receiver<Waiting>) -> Result<()> {
    let mut target = 0;
    while let Some(first) = queue.recv().await {
        let mut group = vec![first];
        let until = Instant::now() + LINGER;
        loop {
            while let Ok(next) = queue.try_recv() {
                group.push(next);
            }
            if group.len() >= target || Instant::now() >= until {
                break;
            }
            tokio::task::yield_now().await;
        }
        let (mut columns, mut answers) = (Columns::default(), Vec::with_capacity(group.len()));
        for (row, answer) in group {
            columns.push(row);
            answers.push(answer);
        }
        let Columns { streams, versions, ids, kinds, schemas, bodies, metas, times } = &columns;
        let arguments: [&(dyn ToSql + Sync); 8] = [streams, versions, ids, kinds, schemas, bodies, metas, times];
        client.query_one(append, &arguments).await?;
        let company = answers.len() + queue.len();
        target = if company > 1 { company } else { 0 };
        for answer in answers {
            let _nobody_waits = answer.send(());
        }
    }
    Ok(())
}
