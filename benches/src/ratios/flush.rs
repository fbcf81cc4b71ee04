//! The flush of the disk: how long it takes, and how to make it take a fixed time.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Result;

const SHIM: &str = include_str!("fixed_flush.c");
const LENGTH: &str = "ES_BENCH_FLUSH_US";
const COUNT: &str = "ES_BENCH_FLUSH_COUNT";
const REAL: &str = "ES_BENCH_REAL_FLUSH_US";

/// What is known of flushes.
#[derive(Clone, Debug)]
pub struct Flush {
    /// The disk's own flush.
    pub real: Duration,
    /// The fixed one of a server. This process has the disk's.
    of_server: Option<Duration>,
    count: Option<PathBuf>,
}

impl Flush {
    /// Looks at the flush of a folder's disk. With a fixed one asked for, it has to be in place already.
    ///
    /// # Errors
    ///
    /// When it is not in place, or the folder cannot be written.
    pub fn here(folder: &Path, fixed: bool) -> Result<Self> {
        let count = std::env::var_os(COUNT).map(PathBuf::from);
        let real = std::env::var(REAL).ok().and_then(|us| us.parse().ok()).map(Duration::from_micros);
        let mut flush = Self { real: Duration::ZERO, of_server: None, count };
        let before = flush.count()?;
        let seen = measure(folder)?;
        if fixed && flush.count()? == before {
            return Err("the fixed flush is not in place: nothing was counted".into());
        }
        flush.real = real.unwrap_or(seen);
        Ok(flush)
    }

    /// Looks at the flush of a server's disk, with the fixed one that it has.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn of_server(folder: &Path, shim: Option<&Shim>) -> Result<Self> {
        let count = shim.map(|shim| shim.count.clone());
        Ok(Self { real: measure(folder)?, of_server: shim.map(|shim| shim.length), count })
    }

    /// Gives how long a flush takes at the moment.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn now(&self, folder: &Path) -> Result<Duration> {
        self.of_server.map_or_else(|| measure(folder), Ok)
    }

    /// Counts the flushes so far; `None` where they are the disk's own.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn count(&self) -> Result<Option<u64>> {
        self.count.as_deref().map(counted).transpose()
    }
}

fn counted(file: &Path) -> Result<u64> {
    Ok(u64::from_ne_bytes(std::fs::read(file)?.as_slice().try_into()?))
}

/// The library that replaces flushes by a sleep, and counts them. It goes away with its folder.
#[derive(Debug)]
pub struct Shim {
    library: PathBuf,
    count: PathBuf,
    length: Duration,
}

impl Shim {
    /// Builds it in a folder. Other users may load it, and count.
    ///
    /// # Errors
    ///
    /// When this is no Linux, or there is no C compiler.
    pub fn build(us: u64, folder: &Path) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err("a flush of a fixed length needs Linux".into());
        }
        let (source, library, count) =
            (folder.join("fixed_flush.c"), folder.join("libfixed_flush.so"), folder.join("flushes"));
        std::fs::write(&source, SHIM)?;
        let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
        let built =
            Command::new(compiler).args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).status()?;
        if !built.success() {
            return Err("the C compiler could not build the fixed flush".into());
        }
        std::fs::write(&count, 0_u64.to_ne_bytes())?;
        for (path, mode) in [(folder, 0o755), (&library, 0o755), (&count, 0o666)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(Self { library, count, length: Duration::from_micros(us) })
    }

    /// Counts the flushes so far.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn count(&self) -> Result<u64> {
        counted(&self.count)
    }

    /// Gives the variables of a process that is to flush so.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        vec![
            ("LD_PRELOAD".into(), self.library.clone().into()),
            (LENGTH.into(), self.length.as_micros().to_string().into()),
            (COUNT.into(), self.count.clone().into()),
        ]
    }
}

/// Runs this program again with flushes of a fixed length. `None`: this is that run.
///
/// # Errors
///
/// As [`Shim::build`].
pub fn fixed(us: u64, folder: &Path) -> Result<Option<ExitCode>> {
    if std::env::var_os(COUNT).is_some() {
        return Ok(None);
    }
    let shim = Shim::build(us, folder)?;
    let status = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .envs(shim.environment())
        .env(REAL, measure(folder)?.as_micros().to_string())
        .status()?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// Gives the median of some flushes of two pages.
fn measure(folder: &Path) -> Result<Duration> {
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
