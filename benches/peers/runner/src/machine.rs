//! What the numbers were seen on.

use std::fmt::Write as _;
use std::process::Command;

use crate::server::{SETTINGS, Server};
use crate::{Options, Result};

/// Says what the machine, the server and the run are.
pub(crate) fn describe(server: &Server, options: &Options) -> Result<String> {
    let mut text = String::new();
    let version = server.sql("postgres", &["SHOW server_version"])?;
    writeln!(text, "PostgreSQL {}, on the same machine as the peers: {}.", version.trim(), SETTINGS.join(", "))?;
    match server.flush.fixed() {
        Some(us) => {
            let before = server.flush.counted()?;
            server.sql("postgres", &["CHECKPOINT"])?;
            if server.flush.counted()? == before {
                return Err("the fixed flush is not in place: nothing was counted".into());
            }
            writeln!(
                text,
                "Each flush of the server takes {us} µs; the disk's own `fdatasync` {} µs.",
                server.disk()?.as_micros()
            )?;
        }
        None => {
            writeln!(text, "The disk's `fdatasync` takes {} µs (median of 101, 8 KiB).", server.disk()?.as_micros())?;
        }
    }
    writeln!(text, "{}.", machine())?;
    writeln!(
        text,
        "{} accounts; {} rounds in rotating order, each in a new database; at most {} s a run.",
        options.accounts, options.rounds, options.seconds
    )?;
    Ok(text)
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let memory = read("/proc/meminfo");
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let rust = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let rust = String::from_utf8_lossy(&rust);
    let rust = rust.split(" (").next().unwrap_or("rustc ?").trim();
    format!(
        "{cores} cores ({model}), {} GB, Linux {}, {rust}; load before the first run: {load}",
        memory >> 20,
        kernel.trim()
    )
}
