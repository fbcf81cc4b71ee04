//! What all measurements of a program share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::flush::Flush;

/// What all measurements of a program share.
#[derive(Clone, Debug)]
pub struct Env {
    /// The flush of the disk.
    pub flush: Flush,
    /// How long a round of a measurement is.
    pub time: Duration,
    /// Counts the runtime's conflicts.
    pub conflicts: Arc<AtomicU64>,
    /// How many connections the pool of what is written by hand has.
    pub pool: u32,
    /// The database server's first process, where there is a server.
    pub server: Option<u32>,
}

/// Time on the processors so far, in hundredths of a second.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    /// This process.
    pub own: u64,
    /// The server.
    pub server: Option<u64>,
}

impl Env {
    /// Gives the time on the processors so far; `None` where the system does not say.
    #[must_use]
    pub fn processors(&self) -> Option<Processors> {
        Some(Processors { own: own_time()?, server: self.server.and_then(server_time) })
    }
}

/// Gives this process's time on the processors so far, in hundredths of a second; `None` where the system does not say.
#[must_use]
pub fn own_time() -> Option<u64> {
    Stat::read(Path::new("/proc/self/stat")).map(|stat| stat.time)
}

/// What the system says of a process.
struct Stat {
    parent: u32,
    time: u64,
    /// Of children that have ended.
    of_children: u64,
}

impl Stat {
    fn read(file: &Path) -> Option<Self> {
        let stat = std::fs::read_to_string(file).ok()?;
        // The second field is a name in brackets that may hold anything. Behind it: state, parent, …; user and system time are the 14th and
        // 15th of all, those of children the 16th and 17th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            time: number(11)? + number(12)?,
            of_children: number(13)? + number(14)?,
        })
    }
}

/// Adds up a server's first process and its children.
fn server_time(first: u32) -> Option<u64> {
    let of = |process: PathBuf| Stat::read(&process.join("stat"));
    let postmaster = of(PathBuf::from(format!("/proc/{first}")))?;
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(|entry| of(entry.ok()?.path()));
    let children: u64 = processes.filter(|stat| stat.parent == first).map(|stat| stat.time).sum();
    Some(postmaster.time + postmaster.of_children + children)
}
