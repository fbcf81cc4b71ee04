//! The table.

use std::process::ExitCode;
use std::time::Duration;

use es_benches::Result;

use crate::Results;
use crate::goals::{Aim, Goal};
use crate::measure::{Env, Measure, Sample, median};

/// Prints what was measured, as Markdown. A conflict of the runtime with itself is a failure; a missed aim is not: noise may
/// be the cause.
pub(crate) fn print(goals: &[&Goal], results: &Results, env: &Env, rounds: usize) -> Result<ExitCode> {
    let seen = |flush: Option<&Duration>| flush.copied().unwrap_or_default();
    let (least, greatest) = (seen(results.flushes.iter().min()), seen(results.flushes.iter().max()));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("Flush of the disk: {:?}; in the rounds: {least:?} to {greatest:?}.", env.flush.real);
    println!("{rounds} rounds of {:?}. Load: {}", env.time, load.trim());
    println!("\n| goal | what | es | against | ratio (least to greatest) | aim | |\n|---|---|---|---|---|---|---|");
    for goal in goals {
        println!("{}", line(goal, results, least)?);
    }
    let conflicts: u64 = results.samples.iter().flat_map(|(_, samples)| samples).map(|sample| sample.conflicts).sum();
    println!("\nConflicts: {conflicts}.");
    Ok(if conflicts == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(goal: &Goal, results: &Results, flush: Duration) -> Result<String> {
    let ours = samples(goal.ours, results)?;
    let Goal { name, what, .. } = goal;
    let Some((whose, theirs)) = goal.theirs else {
        if let Aim::Lag(most) = goal.aim {
            return Ok(lag(name, what, ours, most));
        }
        let nanoseconds = middle(ours, Sample::nanoseconds);
        let made = middle(ours, |sample| sample.allocations.unwrap_or_default());
        let (aim, reached) = match goal.aim {
            Aim::Nanoseconds(most) => (format!("≤ {most:.0} ns"), mark(nanoseconds <= most)),
            Aim::Cost(time, allocations) => {
                (format!("≤ {time:.0} ns, ≤ {allocations:.0}"), mark(nanoseconds <= time && made <= allocations))
            }
            _ => (String::new(), ""),
        };
        return Ok(format!("| {name} | {what} | {nanoseconds:.1} ns, {made:.1} allocations | | | {aim} | {reached} |"));
    };
    let Ok(theirs) = samples(theirs, results) else {
        return Ok(format!("| {name} | {what} | {} | | | | |", rate(ours)));
    };
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = median(ratios.clone());
    let range = format!("{} to {}", short(ratios[0]), short(ratios[ratios.len() - 1]));
    let (aim, reached) = match goal.aim.ratio(flush) {
        Some(aim) => (format!("≥ {}", short(aim)), mark(ratio >= aim)),
        None => (String::new(), ""),
    };
    let (ours, theirs) = (rate(ours), rate(theirs));
    Ok(format!("| {name} | {what} | {ours} | {whose}: {theirs} | **{}** ({range}) | {aim} | {reached} |", short(ratio)))
}

/// Gives the line of something that becomes visible.
fn lag(name: &str, what: &str, samples: &[Sample], most: f64) -> String {
    let lag = |sample: &Sample| sample.lag.unwrap_or((f64::NAN, f64::NAN));
    let (half, nearly_all) = (middle(samples, |sample| lag(sample).0), middle(samples, |sample| lag(sample).1));
    let worst = samples.iter().map(|sample| lag(sample).1).fold(0.0, f64::max);
    let reached = mark(nearly_all <= most);
    format!(
        "| {name} | {what} | p50 {half:.1} ms, p99 {nearly_all:.1} ms (worst round {worst:.1}) | | | p99 ≤ {most:.0} ms | {reached} |"
    )
}

fn samples(measure: Measure, results: &Results) -> Result<&[Sample]> {
    let found = results.samples.iter().find(|(known, _)| *known == measure);
    found.map(|(_, samples)| samples.as_slice()).ok_or_else(|| "a goal was not measured".into())
}

fn middle(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    median(samples.iter().map(value).collect())
}

fn rate(samples: &[Sample]) -> String {
    let rate = middle(samples, |sample| sample.rate);
    let text = if rate >= 1e6 { format!("{:.2} M/s", rate / 1e6) } else { format!("{rate:.0}/s") };
    let more = |value: fn(&Sample) -> Option<f64>| {
        let values: Vec<f64> = samples.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| median(values))
    };
    let grouped = more(|sample| sample.per_flush).map(|events| format!("{events:.0} a flush"));
    let cpu = more(|sample| sample.cpu).map(|cpu| format!("{cpu:.0} µs CPU"));
    let more: Vec<String> = [grouped, cpu].into_iter().flatten().collect();
    if more.is_empty() { text } else { format!("{text} ({})", more.join(", ")) }
}

fn short(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0} ×") } else { format!("{ratio:.2} ×") }
}

const fn mark(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}
