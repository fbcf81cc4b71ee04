//! Shares partitions among the processes that use the file.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::SqliteStore;
use super::checkpoints::{checkpoint, partition_rows};
use super::error::{DbError, damaged};
use super::job::End;
use super::rows::read;
use super::script::Script;
use crate::store::{Checkpoint, Lease, LeaseRequest, LeaseStore, PartitionId, ProcessId, StoreError};
use crate::subscription::assign::{Wants, fair_share};

impl LeaseStore for SqliteStore {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        let locked = self.shared.locks.hold(self.shared.place.path.as_deref(), request.process);
        let (request, path) = (request.clone(), self.shared.place.path.clone());
        self.work("leasing partitions", move |connection| {
            Box::pin(async move { lease(connection, &request, path.as_deref(), locked).await })
        })
        .await
    }

    async fn leave(&self, process: ProcessId) -> Result<(), StoreError> {
        let mut script = Script::default();
        script.add("UPDATE subscriptions SET owner = NULL WHERE owner = ?");
        script.bind(process.0.to_string());
        script.add("DELETE FROM processes WHERE process = ?");
        script.bind(process.0.to_string());
        self.run_script("giving partitions up", script).await?;
        self.shared.locks.let_go(process);
        Ok(())
    }
}

impl SqliteStore {
    /// Gives up what every process of this store has.
    pub(super) async fn leave_all(&self) {
        for process in self.shared.locks.processes() {
            if let Err(error) = self.leave(process).await {
                // Others notice by the lock, or when the time-out has passed.
                tracing::warn!(%error, "the leases could not be given up");
            }
        }
    }
}

/// Locks on files beside the database, one for each process that asked for partitions: the system lets go of them the moment that a
/// program dies.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<FxHashMap<ProcessId, Option<(PathBuf, File)>>>);

impl Locks {
    /// Makes sure that a process has its lock; `false` where it cannot have one, so that only the time-out tells.
    fn hold(&self, database: Option<&Path>, process: ProcessId) -> bool {
        let mut locks = self.0.lock();
        let held = locks.entry(process).or_default();
        let Some(database) = database else { return false };
        if held.as_ref().is_some_and(|(path, _)| path.exists()) {
            return true;
        }
        let path = lock_path(database, process);
        match File::create(&path).and_then(|file| file.try_lock().map(|()| file).map_err(std::io::Error::from)) {
            Ok(file) => *held = Some((path, file)),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a process cannot show by a lock that it lives");
                *held = None;
            }
        }
        held.is_some()
    }

    fn let_go(&self, process: ProcessId) {
        if let Some(Some((path, file))) = self.0.lock().remove(&process) {
            remove(&path);
            drop(file);
        }
    }

    /// What the system does when a process dies: its lock goes, its file stays.
    #[cfg(test)]
    pub(super) fn forget(&self, process: ProcessId) {
        self.0.lock().remove(&process);
    }

    fn processes(&self) -> Vec<ProcessId> {
        self.0.lock().keys().copied().collect()
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        for process in self.processes() {
            self.let_go(process);
        }
    }
}

fn lock_path(database: &Path, process: ProcessId) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(format!("-process-{}", process.0));
    path.into()
}

fn remove(path: &Path) {
    // Whoever sees it next removes it; a file that is left over says nothing.
    let _ = std::fs::remove_file(path);
}

/// Tells whether a process is dead for certain: nobody holds its lock any more.
fn is_dead(database: Option<&Path>, process: ProcessId) -> bool {
    let Some(database) = database else { return false };
    let path = lock_path(database, process);
    match File::open(&path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => {
                remove(&path);
                true
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// A process as it is stored.
struct Process {
    id: ProcessId,
    wanted: BTreeSet<PartitionId>,
    until: DateTime<Utc>,
    locked: bool,
}

async fn lease(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    database: Option<&Path>,
    locked: bool,
) -> Result<End<Vec<Lease>>, DbError> {
    // One clock for all: this machine's, read under the write lock.
    let now = Utc::now();
    let partitions = partitions(connection).await?;
    let known: BTreeSet<_> = partitions.iter().map(|held| held.id.clone()).collect();
    if let Some(unknown) = request.wanted.iter().find(|id| !known.contains(id)) {
        return Err(unknown.gone().into());
    }
    note(request, now, locked).run(connection).await?;
    let (living, dead): (Vec<_>, Vec<_>) = processes(connection).await?.into_iter().partition(|process| {
        let other = process.id;
        if other == request.process {
            return true;
        }
        // Looked at even where the time-out has passed: it takes the file of a lock that is gone away.
        let is_dead = process.locked && is_dead(database, other);
        process.until >= now && !is_dead
    });
    // What another process wants may have been dropped since it asked.
    let known_of = |process: Process| (process.id, process.wanted.intersection(&known).cloned().collect());
    let living: Wants = living.into_iter().map(known_of).collect();
    let mut script = Script::default();
    for process in dead {
        script.add("DELETE FROM processes WHERE process = ?");
        script.bind(process.id.0.to_string());
    }
    let owners = partitions.into_iter().filter_map(|held| Some((held.id, held.owner?))).collect();
    let decided = fair_share(request.process, &living, &owners);
    change(&mut script, &decided.take, "owner = ?, epoch = epoch + 1", Some(request.process));
    change(&mut script, &decided.give_up, "owner = ?", None);
    script.run(connection).await?;
    let owned = partitions_owned(connection, request).await?;
    let lease =
        |held: Checkpoint| Lease { id: held.id, epoch: held.epoch, position: held.position, status: held.status };
    Ok(End::Commit(owned.into_iter().map(lease).collect()))
}

/// The statement that notes that a process lives.
fn note(request: &LeaseRequest, now: DateTime<Utc>, locked: bool) -> Script {
    let mut script = Script::default();
    script.add(
        "INSERT INTO processes (process, heartbeat, timeout, locked, wanted) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (process) DO UPDATE SET heartbeat = excluded.heartbeat, timeout = excluded.timeout, \
         locked = excluded.locked, wanted = excluded.wanted",
    );
    let timeout = i64::try_from(request.timeout.as_micros()).unwrap_or(i64::MAX);
    script.bind(request.process.0.to_string()).bind(now.timestamp_micros()).bind(timeout);
    script.bind(locked).bind(partition_rows(&request.wanted));
    script
}

async fn processes(connection: &mut SqliteConnection) -> Result<Vec<Process>, DbError> {
    let mut script = Script::default();
    script.add("SELECT process, heartbeat, timeout, locked, wanted FROM processes ORDER BY process");
    let wrong = |reason: String| damaged("table processes", reason);
    read(connection, script, |row| {
        let process = Uuid::parse_str(row.try_get(0)?).map_err(|error| wrong(error.to_string()))?;
        let (heartbeat, timeout): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let wanted: Vec<(String, u32, u32)> =
            serde_json::from_str(row.try_get(4)?).map_err(|error| wrong(error.to_string()))?;
        let wanted = wanted.into_iter();
        let wanted = wanted.map(|(name, version, partition)| PartitionId { name: name.into(), version, partition });
        let until = DateTime::from_timestamp_micros(heartbeat.saturating_add(timeout));
        Ok(Process {
            id: ProcessId(process),
            wanted: wanted.collect(),
            until: until.unwrap_or(DateTime::<Utc>::MAX_UTC),
            locked: row.try_get(3)?,
        })
    })
    .await
}

const COLUMNS: &str =
    "SELECT s.name, s.version, s.partition, s.position, s.epoch, s.owner, s.status, s.reason, s.stopped_at";

/// Reads the partitions that a process wants or has.
async fn partitions(connection: &mut SqliteConnection) -> Result<Vec<Checkpoint>, DbError> {
    let mut script = Script::default();
    script.add(&format!("{COLUMNS} FROM subscriptions AS s ORDER BY s.name, s.version, s.partition"));
    read(connection, script, |row| checkpoint(&row)).await
}

async fn partitions_owned(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
) -> Result<Vec<Checkpoint>, DbError> {
    let mut script = Script::default();
    script.add(&format!("{COLUMNS} FROM subscriptions AS s WHERE s.owner = ? ORDER BY s.name, s.version, s.partition"));
    script.bind(request.process.0.to_string());
    read(connection, script, |row| checkpoint(&row)).await
}

fn change(script: &mut Script, ids: &[PartitionId], what: &str, owner: Option<ProcessId>) {
    if ids.is_empty() {
        return;
    }
    script.add(&format!(
        "UPDATE subscriptions SET {what} WHERE (name, version, partition) IN \
         (SELECT e.value->>0, e.value->>1, e.value->>2 FROM json_each(?) AS e)"
    ));
    script.bind(owner.map(|owner| owner.0.to_string())).bind(partition_rows(ids));
}
