//! The flush of the disk: how long it takes, or how to make the server's take a fixed time.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;

/// The name under which the server and the peers are told where flushes are counted.
pub(crate) const COUNT: &str = "ES_BENCH_FLUSH_COUNT";
const LENGTH: &str = "ES_BENCH_FLUSH_US";

/// What the server's flushes are.
#[derive(Debug)]
pub(crate) struct Flush {
    /// The fixed length, and the library that makes it so.
    fixed: Option<(u64, PathBuf)>,
    /// Where they are counted, if they are fixed.
    pub(crate) count: Option<PathBuf>,
}

impl Flush {
    /// Builds the library that makes flushes take a fixed time (the one of `ratios`), where that is asked for.
    pub(crate) fn prepare(home: &Path, folder: &Path, us: Option<u64>) -> Result<Self> {
        let Some(us) = us else { return Ok(Self { fixed: None, count: None }) };
        let library = folder.join("libfixed_flush.so");
        let source = home.join("../src/bin/ratios/fixed_flush.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
        let built =
            Command::new(compiler).args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]).status()?;
        if !built.success() {
            return Err("the C compiler could not build the fixed flush".into());
        }
        let count = folder.join("flushes");
        std::fs::write(&count, 0_u64.to_ne_bytes())?;
        Ok(Self { fixed: Some((us, library)), count: Some(count) })
    }

    /// What the server's environment needs for that.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        if let (Some((us, library)), Some(count)) = (&self.fixed, &self.count) {
            variables.push(("LD_PRELOAD", library.into()));
            variables.push((LENGTH, us.to_string().into()));
            variables.push((COUNT, count.into()));
        }
        variables
    }

    /// The fixed length, in microseconds.
    pub(crate) fn fixed(&self) -> Option<u64> {
        self.fixed.as_ref().map(|(us, _)| *us)
    }

    /// Counts the server's flushes so far.
    pub(crate) fn counted(&self) -> Result<Option<u64>> {
        let Some(count) = &self.count else { return Ok(None) };
        Ok(Some(u64::from_ne_bytes(std::fs::read(count)?.as_slice().try_into()?)))
    }
}

/// Gives the median of some flushes (`fdatasync`) of two pages.
pub(crate) fn measure(folder: &Path) -> Result<Duration> {
    let mut file = File::create(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..101 {
        file.write_all(&[7; 8_192])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
