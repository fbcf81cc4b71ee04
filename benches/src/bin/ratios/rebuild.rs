//! Building a read model from logs of several lengths: how fast, and with how much memory. Each in a process of its own, since
//! the peak is that of a process.

use std::path::Path;
use std::process::Command;

use es_benches::Result;
use es_benches::ratios::env::Env;

use crate::archive::{catch_up, fill_file};

/// Builds from logs of these lengths, and prints a table.
pub(crate) async fn all(lengths: &[usize], folder: &Path) -> Result<()> {
    println!("| events | events a second | CPU an event | memory at most |\n|---|---|---|---|");
    for events in lengths {
        let file = folder.join(format!("{events}.db"));
        fill_file(&file, *events).await?;
        let mut child = Command::new(std::env::current_exe()?);
        // What this process was told, but for what it is to do: the disk's flush is as here.
        child.args(std::env::args_os().skip(1)).arg("--rebuild-file").arg(&file);
        if !child.status()?.success() {
            return Err("a rebuild failed".into());
        }
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

/// Builds from one file: what the child does.
pub(crate) async fn one(file: &Path, env: &Env) -> Result<()> {
    let before = peak()?;
    let (events, sample) = catch_up(file, env).await?;
    let cpu = sample.cpu.unwrap_or_default();
    println!("| {events} | {:.0} | {cpu:.1} µs | {} MB ({before} before) |", sample.rate, peak()?);
    Ok(())
}

/// Gives the most memory that this process has had, in megabytes.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the peak is not known")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1_024)
}
