//! The store in a PostgreSQL database, for any number of processes.
//!
//! One task of each process writes: it makes groups of the commits in line and stores each group with one call of a function, one round
//! trip and one flush. Several processes append side by side; unique constraints decide. Readers wait at gaps in the positions until those
//! who may still fill them are done, so none of them skips an event.
//!
//! | file | what it holds |
//! |---|---|
//! | `options`, `open`, `pool` | how a store is opened; connections, migrations; reads and transactions on the pool |
//! | `writer`, `group`, `outcome` | the one task that appends; one group through one transaction; what became of it where the server does not say |
//! | `lookup` | what a group is decided on where it is not decided on trust (`store/group`) |
//! | `append` | the call that writes a group |
//! | `horizon`, `notify` | up to where the log is final; waking readers of other processes |
//! | `read` | the log |
//! | `ledger`, `identity`, `snapshot` | the smaller tables |
//! | `rows`, `select`, `value`, `table` | read models: their tables, rows in and out |
//! | `registry`, `checkpoints`, `letters`, `leases` | projections and those who follow the log |
//! | `sync`, `pending`, `sync_connected` | projections in the commits' own transaction |
//! | `batch`, `fold`, `connected`, `lend` | what followers write; a connection for queries |
//! | `text`, `error` | texts without NUL; the database's errors in the store's words |

mod error;
mod open;
mod options;
mod pool;
mod text;

use std::fmt;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::{mpsc, watch};

use super::StoreError;
use crate::event::GlobalPosition;
use open::Place;

pub use options::{PostgresDurability, PostgresOptions};

/// TODO
#[derive(Clone)]
pub struct PostgresStore {
    queue: mpsc::Sender<()>,
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    pool: PgPool,
    /// The first half of the keys of the schema's advisory locks.
    lock_class: i32,
    head: Arc<watch::Sender<GlobalPosition>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.shared.place.schema)
            .field("closed", &self.queue.is_closed())
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Begins to open a store with other options than the default ones.
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    async fn start(options: PostgresOptions, connection: PgConnectOptions) -> Result<Self, StoreError> {
        let place = Place::new(connection, &options)?;
        let mut connection = place.open(options.migrate).await?;
        let lock_class: i32 = sqlx::query_scalar("SELECT es_lock_class()")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| error::store_error(error, "reading its lock class"))?;
        let (queue, _work) = mpsc::channel(1);
        let (pool, head) = (place.pool(), Arc::new(watch::Sender::new(GlobalPosition::START)));
        Ok(Self { queue, shared: Arc::new(Shared { place, pool, lock_class, head }) })
    }
}
