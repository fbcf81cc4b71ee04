//! The table.

use std::process::ExitCode;
use std::time::Duration;

use super::env::Env;
use super::goal::{Aim, Goal};
use super::sample::{Sample, median};
use super::turns::{Measurable, Results};
use crate::Result;

/// Prints what was measured, as Markdown. A conflict of the runtime with itself is a failure; a missed aim is not: noise may
/// be the cause.
///
/// # Errors
///
/// When a goal was not measured.
pub fn print<M: Measurable>(goals: &[&Goal<M>], results: &Results<M>, env: &Env, rounds: usize) -> Result<ExitCode> {
    let seen = |flush: Option<&Duration>| flush.copied().unwrap_or_default();
    let (least, greatest) = (seen(results.flushes.iter().min()), seen(results.flushes.iter().max()));
    let load = |first: f64, next: fn(f64, f64) -> f64| results.loads.iter().copied().fold(first, next);
    let (calm, busy) = (load(f64::INFINITY, f64::min), load(0.0, f64::max));
    println!("Flush of the disk: {:?}; in the rounds: {least:?} to {greatest:?}.", env.flush.real);
    println!("{rounds} rounds of {:?}. Load at their beginnings: {calm:.1} to {busy:.1}.", env.time);
    println!("\n| goal | what | es | against | ratio (least to greatest) | aim | |\n|---|---|---|---|---|---|---|");
    for goal in goals {
        println!("{}", line(goal, results, least)?);
    }
    let conflicts: u64 = results.samples.iter().flat_map(|(_, samples)| samples).map(|sample| sample.conflicts).sum();
    println!("\nConflicts: {conflicts}.");
    Ok(if conflicts == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line<M: Measurable>(goal: &Goal<M>, results: &Results<M>, flush: Duration) -> Result<String> {
    let ours = samples(goal.ours, results)?;
    let Goal { name, what, .. } = goal;
    let Some((whose, theirs)) = goal.theirs else {
        let (seen, aim, reached) = by_itself(goal.aim, ours);
        return Ok(format!("| {name} | {what} | {seen} | | | {aim} | {reached} |"));
    };
    let Ok(theirs) = samples(theirs, results) else {
        return Ok(format!("| {name} | {what} | {} | | | | |", rate(ours)));
    };
    let cpu = |sample: &Sample| sample.cpu.unwrap_or(f64::NAN);
    let of_cpu = matches!(goal.aim, Aim::Cpu(_));
    let ratio = |ours: &Sample, theirs: &Sample| if of_cpu { cpu(ours) / cpu(theirs) } else { ours.rate / theirs.rate };
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ratio(ours, theirs)).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = median(ratios.clone());
    let range = format!("{} to {}", short(ratios[0]), short(ratios[ratios.len() - 1]));
    let (aim, reached) = match (goal.aim, goal.aim.ratio(flush)) {
        (Aim::Cpu(most), _) => (format!("CPU ≤ {}", short(most)), mark(ratio <= most)),
        (_, Some(aim)) => (format!("≥ {}", short(aim)), mark(ratio >= aim)),
        (_, None) => (String::new(), ""),
    };
    let (ours, theirs) = (rate(ours), rate(theirs));
    Ok(format!("| {name} | {what} | {ours} | {whose}: {theirs} | **{}** ({range}) | {aim} | {reached} |", short(ratio)))
}

/// Gives what was seen of something that is compared with nothing, its aim, and whether it is reached.
fn by_itself(aim: Aim, samples: &[Sample]) -> (String, String, &'static str) {
    let nanoseconds = middle(samples, Sample::nanoseconds);
    let made = middle(samples, |sample| sample.allocations.unwrap_or_default());
    let in_memory = format!("{nanoseconds:.1} ns, {made:.1} allocations");
    let per_second = middle(samples, |sample| sample.rate);
    match aim {
        Aim::Lag(most) => lag(samples, most),
        Aim::Most(most) => (format!("{per_second:.1}/s"), format!("≤ {most:.0}/s"), mark(per_second <= most)),
        Aim::Nanoseconds(most) => (in_memory, format!("≤ {most:.0} ns"), mark(nanoseconds <= most)),
        Aim::Cost(time, allocations) => {
            let reached = mark(nanoseconds <= time && made <= allocations);
            (in_memory, format!("≤ {time:.0} ns, ≤ {allocations:.0}"), reached)
        }
        _ if samples.iter().any(|sample| sample.allocations.is_some()) => (in_memory, String::new(), ""),
        _ => (rate(samples), String::new(), ""),
    }
}

/// Gives the cells of something that becomes visible.
fn lag(samples: &[Sample], most: f64) -> (String, String, &'static str) {
    let lag = |sample: &Sample| sample.lag.unwrap_or((f64::NAN, f64::NAN));
    let (half, nearly_all) = (middle(samples, |sample| lag(sample).0), middle(samples, |sample| lag(sample).1));
    let worst = samples.iter().map(|sample| lag(sample).1).fold(0.0, f64::max);
    let seen = format!("p50 {half:.1} ms, p99 {nearly_all:.1} ms (worst round {worst:.1})");
    (seen, format!("p99 ≤ {most:.0} ms"), mark(nearly_all <= most))
}

fn samples<M: Measurable>(measure: M, results: &Results<M>) -> Result<&[Sample]> {
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
    let of_server = more(|sample| sample.server_cpu).map(|cpu| format!("{cpu:.0} of it the server's"));
    let more: Vec<String> = [grouped, cpu, of_server].into_iter().flatten().collect();
    if more.is_empty() { text } else { format!("{text} ({})", more.join(", ")) }
}

fn short(ratio: f64) -> String {
    if ratio >= 10.0 { format!("{ratio:.0} ×") } else { format!("{ratio:.2} ×") }
}

const fn mark(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}
