//! The flush of the disk: how long it takes, and how to make it take a fixed time.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use es_benches::Result;

const SHIM: &str = include_str!("fixed_flush.c");
const LENGTH: &str = "ES_BENCH_FLUSH_US";
const COUNT: &str = "ES_BENCH_FLUSH_COUNT";
const REAL: &str = "ES_BENCH_REAL_FLUSH_US";

/// What is known of flushes in this process.
#[derive(Clone, Debug)]
pub(crate) struct Flush {
    /// The disk's own flush.
    pub(crate) real: Duration,
    count: Option<PathBuf>,
}

impl Flush {
    /// Looks at the flush of a folder's disk. With a fixed one asked for, it has to be in place already.
    pub(crate) fn here(folder: &Path, fixed: bool) -> Result<Self> {
        let count = std::env::var_os(COUNT).map(PathBuf::from);
        let real = std::env::var(REAL).ok().and_then(|us| us.parse().ok()).map(Duration::from_micros);
        let mut flush = Self { real: Duration::ZERO, count };
        let before = flush.count()?;
        let seen = measure(folder)?;
        if fixed && flush.count()? == before {
            return Err("the fixed flush is not in place: nothing was counted".into());
        }
        flush.real = real.unwrap_or(seen);
        Ok(flush)
    }

    /// Counts the flushes so far; `None` where they are the disk's own.
    pub(crate) fn count(&self) -> Result<Option<u64>> {
        let Some(path) = &self.count else { return Ok(None) };
        let bytes = std::fs::read(path)?;
        Ok(Some(u64::from_ne_bytes(bytes.as_slice().try_into()?)))
    }
}

/// Runs this program again with flushes of a fixed length. `None`: this is that run.
pub(crate) fn fixed(us: u64, folder: &Path) -> Result<Option<ExitCode>> {
    if std::env::var_os(COUNT).is_some() {
        return Ok(None);
    }
    if !cfg!(target_os = "linux") {
        return Err("a flush of a fixed length needs Linux".into());
    }
    let program = std::env::current_exe()?;
    let beside = program.parent().unwrap_or(folder);
    let (source, library) = (beside.join("fixed_flush.c"), beside.join("libfixed_flush.so"));
    std::fs::write(&source, SHIM)?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let built = Command::new(compiler).args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).status()?;
    if !built.success() {
        return Err("the C compiler could not build the fixed flush".into());
    }
    let count = folder.join("flushes");
    std::fs::write(&count, 0_u64.to_ne_bytes())?;
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("LD_PRELOAD", library)
        .env(LENGTH, us.to_string())
        .env(COUNT, count)
        .env(REAL, measure(folder)?.as_micros().to_string())
        .status()?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// Gives the median of some flushes of two pages.
pub(crate) fn measure(folder: &Path) -> Result<Duration> {
    let mut file = File::create(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..51 {
        file.write_all(&[7; 8_192])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
