//! The one line that a peer prints.

use serde::Serialize;

use crate::check::Verdict;
use crate::drive::Seen;
use crate::{Bank, Options, Result};

#[derive(Serialize)]
struct Line {
    peer: &'static str,
    version: &'static str,
    clients: usize,
    /// Answered: stored or refused.
    commands: u64,
    refused: u64,
    seconds: f64,
    per_second: f64,
    p50_us: u32,
    p99_us: u32,
    retries: u64,
    errors: u64,
    /// Of the server, while it was measured.
    flushes: Option<u64>,
    balances_ok: bool,
    wrong_balances: usize,
}

/// Writes what was seen as a line of JSON.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
pub(crate) fn line<B: Bank>(options: &Options, mut seen: Seen, verdict: Verdict) -> Result<String> {
    seen.latencies.sort_unstable();
    let (commands, seconds) = (seen.done + seen.refused, seen.took.as_secs_f64());
    Ok(serde_json::to_string(&Line {
        peer: B::PEER,
        version: B::VERSION,
        clients: options.clients,
        commands,
        refused: seen.refused,
        seconds,
        per_second: commands as f64 / seconds.max(1e-9),
        p50_us: percentile(&seen.latencies, 50),
        p99_us: percentile(&seen.latencies, 99),
        retries: seen.retries,
        errors: seen.errors,
        flushes: seen.flushes,
        balances_ok: verdict.good(),
        wrong_balances: verdict.wrong,
    })?)
}

/// Gives the value that so many percent do not exceed.
fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
