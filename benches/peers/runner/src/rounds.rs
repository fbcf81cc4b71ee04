//! Runs the peers: a short trial of the pools, then round after round.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::flush::COUNT;
use crate::peers::Peer;
use crate::server::Server;
use crate::{Load, Options, Result};

/// How much a trial of a pool does.
const TRIAL: (u64, f64) = (4_000, 5.0);

/// What a peer prints.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    pub(crate) version: String,
    pub(crate) commands: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) retries: u64,
    pub(crate) errors: u64,
    pub(crate) flushes: Option<u64>,
    pub(crate) balances_ok: bool,
    pub(crate) wrong_balances: usize,
}

/// All rounds of one peer.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) peer: Peer,
    pub(crate) pool: u32,
    pub(crate) lines: Vec<Line>,
}

/// Runs every peer under a load.
pub(crate) fn run(home: &Path, server: &Server, peers: &[Peer], load: Load, options: &Options) -> Result<Vec<Seen>> {
    let runs = Runs { home, server, load, options };
    let mut seen = Vec::new();
    for peer in peers {
        seen.push(Seen { peer: *peer, pool: runs.pool(*peer)?, lines: Vec::new() });
    }
    for round in 0..options.rounds {
        for place in 0..seen.len() {
            let place = (place + round) % seen.len();
            let (peer, pool) = (seen[place].peer, seen[place].pool);
            let line = runs.once(peer, pool, load.commands, options.seconds)?;
            eprintln!(
                "round {}, {} clients: {} {:.0}/s, p50 {} µs, {} retries, {} errors, balances {}",
                round + 1,
                load.clients,
                peer.name,
                line.per_second,
                line.p50_us,
                line.retries,
                line.errors,
                if line.balances_ok { "ok" } else { "WRONG" },
            );
            runs.keep(peer, pool, &line)?;
            seen[place].lines.push(line);
        }
    }
    Ok(seen)
}

struct Runs<'a> {
    home: &'a Path,
    server: &'a Server,
    load: Load,
    options: &'a Options,
}

impl Runs<'_> {
    /// Gives the size of pool that suits a peer best. One client needs no more than the smallest.
    fn pool(&self, peer: Peer) -> Result<u32> {
        let pools = &self.options.pools;
        let smallest = *pools.iter().min().ok_or("no size of a pool is given")?;
        if self.load.clients == 1 || pools.len() == 1 {
            return Ok(smallest);
        }
        let (commands, seconds) = TRIAL;
        let mut best = (0.0, smallest);
        for pool in pools {
            let per_second = self.once(peer, *pool, commands.min(self.load.commands), seconds)?.per_second;
            eprintln!("trial, {} clients: {} with {pool} connections {per_second:.0}/s", self.load.clients, peer.name);
            if per_second > best.0 {
                best = (per_second, *pool);
            }
        }
        Ok(best.1)
    }

    /// Runs a peer's program on an empty database.
    fn once(&self, peer: Peer, pool: u32, commands: u64, seconds: f64) -> Result<Line> {
        let mut program = Command::new("timeout");
        program.arg("600").arg(peer.program(self.home)).args(peer.arguments);
        program.args(["--url", &self.server.fresh()?, "--before", &self.server.settle()]);
        for (option, value) in [
            ("--accounts", self.options.accounts.to_string()),
            ("--clients", self.load.clients.to_string()),
            ("--commands", commands.to_string()),
            ("--seconds", seconds.to_string()),
            ("--pool", pool.to_string()),
        ] {
            program.args([option, &value]);
        }
        if let Some(count) = &self.server.flush.count {
            program.env(COUNT, count);
        }
        let output = program.stderr(std::process::Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{} ended with {}", peer.name, output.status).into());
        }
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().last().ok_or_else(|| format!("{} printed nothing", peer.name))?;
        Ok(serde_json::from_str(line)?)
    }

    /// Writes a run's line where that is asked for.
    fn keep(&self, peer: Peer, pool: u32, line: &Line) -> Result<()> {
        let Some(path) = &self.options.lines else { return Ok(()) };
        let mut whole = serde_json::to_value(line)?;
        whole["peer"] = peer.name.into();
        whole["pool"] = pool.into();
        whole["clients"] = self.load.clients.into();
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(writeln!(file, "{whole}")?)
    }
}
