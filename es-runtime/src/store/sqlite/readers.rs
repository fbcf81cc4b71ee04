//! The connections that read.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::error::{disconnected, store_error};
use super::open::Place;
use crate::store::StoreError;

/// A connection that the writer may lose and make again.
pub(super) type SharedConnection = Arc<tokio::sync::Mutex<Option<SqliteConnection>>>;

/// Lends connections for reading.
///
/// Not sqlx's pool: that one pings a connection in a task of its own each time it is given back, which doubles the hand-overs
/// between threads of a short read.
#[derive(Clone, Debug)]
pub(super) enum Readers {
    /// A file: connections of their own, which never wait for the writer.
    File(Arc<FileReaders>),
    /// A database in memory: everybody takes turns on its only connection.
    Memory(SharedConnection),
}

#[derive(Debug)]
pub(super) struct FileReaders {
    place: Place,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    pub(super) fn of_file(place: Place, limit: usize) -> Self {
        Self::File(Arc::new(FileReaders { place, permits: Arc::new(Semaphore::new(limit)), idle: Mutex::default() }))
    }

    /// Lends a connection; waits where all are lent.
    pub(super) async fn lend(&self) -> Result<Reader, StoreError> {
        match self {
            Self::File(readers) => {
                let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
                let idle = readers.idle.lock().pop();
                let connection = if let Some(connection) = idle {
                    connection
                } else {
                    let connected = readers.place.connect_reader().await;
                    // Afterwards: what was opened may be another file than the writer's.
                    readers.place.check_file()?;
                    connected
                        .map_err(|error| store_error(error, "connecting for reading", readers.place.busy_timeout))?
                };
                Ok(Reader::File { connection: Some(connection), home: Arc::clone(readers), _permit: permit })
            }
            Self::Memory(shared) => Ok(Reader::Memory(Arc::clone(shared).lock_owned().await)),
        }
    }

    /// Lends no more, and closes the connections. Those that are lent are closed when they come back.
    pub(super) async fn close(&self) {
        if let Self::File(readers) = self {
            readers.permits.close();
            let idle = std::mem::take(&mut *readers.idle.lock());
            for connection in idle {
                // A connection that does not close well was only reading.
                let _ = connection.close().await;
            }
        }
    }
}

/// A lent connection. Dropped, it goes back.
#[derive(Debug)]
pub(super) enum Reader {
    File { connection: Option<SqliteConnection>, home: Arc<FileReaders>, _permit: OwnedSemaphorePermit },
    Memory(OwnedMutexGuard<Option<SqliteConnection>>),
}

impl Reader {
    /// Gives the connection.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match self {
            Self::File { connection, .. } => connection.as_mut().ok_or_else(disconnected),
            Self::Memory(connection) => connection.as_mut().ok_or(StoreError::Closed),
        }
    }

    /// Throws a connection away that failed, so that nobody else gets it. The one in memory is the database: it stays.
    pub(super) fn discard(mut self) {
        if let Self::File { connection, .. } = &mut self {
            drop(connection.take());
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Self::File { connection, home, .. } = self
            && let Some(connection) = connection.take()
            && !home.permits.is_closed()
        {
            // A read that was dropped half-way may still run on the connection's thread; the next one waits behind it.
            home.idle.lock().push(connection);
        }
    }
}
