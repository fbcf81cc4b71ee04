//! What is measured, and what comes out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use es_benches::Result;

use crate::archive::{Archive, Follow};
use crate::flush::Flush;
use crate::memory::{self, Memory};
use crate::read::{Library, Read};
use crate::visible::{self, Visible};
use crate::write::{self, Load, Way};

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Write(Way, Load),
    Read(Read),
    Memory(Memory),
    Follow(Follow),
    Visible(Visible),
}

/// Files that measurements share.
pub(crate) struct Files {
    pub(crate) library: Option<Library>,
    pub(crate) archive: Option<Archive>,
}

impl Files {
    /// Makes those that some measurements need.
    pub(crate) async fn of(measures: &[Measure], folder: &Path) -> Result<Self> {
        let reads = measures.iter().any(|measure| matches!(measure, Measure::Read(_)));
        let follows = measures.iter().any(|measure| matches!(measure, Measure::Follow(_)));
        Ok(Self {
            library: if reads { Some(Library::new(folder).await?) } else { None },
            archive: if follows { Some(Archive::new(folder).await?) } else { None },
        })
    }
}

/// What all measurements share.
pub(crate) struct Env {
    pub(crate) flush: Flush,
    pub(crate) time: Duration,
    pub(crate) conflicts: Arc<AtomicU64>,
    /// How many connections the pool of what is written by hand has.
    pub(crate) pool: u32,
}

/// One round of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Events a second.
    pub(crate) rate: f64,
    /// Events a flush.
    pub(crate) per_flush: Option<f64>,
    /// Microseconds of the processor an event, in all threads of the process.
    pub(crate) cpu: Option<f64>,
    /// Allocations an event.
    pub(crate) allocations: Option<f64>,
    /// Milliseconds until something is visible: half of the time at most, and nearly always.
    pub(crate) lag: Option<(f64, f64)>,
    /// Conflicts that the runtime met.
    pub(crate) conflicts: u64,
}

impl Sample {
    pub(crate) fn of(events: u64, took: Duration) -> Self {
        let rate = float(events) / took.as_secs_f64();
        Self { rate, per_flush: None, cpu: None, allocations: None, lag: None, conflicts: 0 }
    }

    pub(crate) fn nanoseconds(&self) -> f64 {
        1e9 / self.rate
    }
}

/// Gives the time that this process has had on the processors so far, in hundredths of a second; `None` where the system does
/// not say.
pub(crate) fn processor_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets that may hold anything; user and system time are the 14th and 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// Gives the middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures once, with files in a folder of its own.
pub(crate) async fn once(measure: Measure, files: &Files, folder: &Path, env: &Env) -> Result<Sample> {
    match measure {
        Measure::Write(way, load) => {
            let folder = tempfile::tempdir_in(folder)?;
            write::measure(way, load, folder.path(), env).await
        }
        Measure::Read(read) => files.library.as_ref().ok_or("there is no library")?.measure(read, env.time).await,
        Measure::Memory(what) => memory::measure(what, env.time),
        Measure::Follow(follow) => {
            let folder = tempfile::tempdir_in(folder)?;
            files.archive.as_ref().ok_or("there is no archive")?.measure(follow, folder.path(), env).await
        }
        Measure::Visible(visible) => {
            let folder = tempfile::tempdir_in(folder)?;
            visible::measure(visible, folder.path(), env).await
        }
    }
}
