//! The table.

use std::fmt::Write as _;

use crate::Load;
use crate::rounds::{Line, Seen};

/// Whose speed the others are compared with.
const MEASURE: &str = "es";

/// Writes a table of what was seen under a load, the fastest first.
pub(crate) fn render(load: Load, seen: &[Seen]) -> String {
    let rate = |seen: &Seen| median(&seen.lines, |line| line.per_second);
    let measure = seen.iter().find(|seen| seen.peer.name == MEASURE).map(rate);
    let mut rows: Vec<&Seen> = seen.iter().collect();
    rows.sort_by(|left, right| rate(right).total_cmp(&rate(left)));
    let clients = if load.clients == 1 { "1 client".to_owned() } else { format!("{} clients", load.clients) };
    let mut text = format!("### {clients}, {} commands\n\n", grouped(load.commands));
    text.push_str("| peer | version | commands/s (least–most) | es is faster by | p50 ms | p99 ms | retries | errors | flushes a command | connections | balances |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for row in rows {
        let _ = writeln!(text, "{}", line(row, rate(row), measure, load));
    }
    text
}

fn line(seen: &Seen, rate: f64, measure: Option<f64>, load: Load) -> String {
    let lines = &seen.lines;
    let rates = lines.iter().map(|line| line.per_second);
    let (least, most) = rates.fold((f64::INFINITY, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
    let faster = measure.map_or_else(|| "–".to_owned(), |measure| format!("{:.1}×", measure / rate));
    let cut = if lines.iter().any(|line| line.commands + line.errors < load.commands) { " ⏱" } else { "" };
    let flushes = if lines.iter().all(|line| line.flushes.is_some()) {
        format!("{:.2}", median(lines, |line| float(line.flushes.unwrap_or_default()) / float(line.commands.max(1))))
    } else {
        "–".to_owned()
    };
    let wrong = lines.iter().map(|line| line.wrong_balances).max().unwrap_or_default();
    let balances = match lines.iter().filter(|line| !line.balances_ok).count() {
        0 => "ok".to_owned(),
        times => format!("**wrong** in {times} of {} runs (up to {wrong} accounts)", lines.len()),
    };
    format!(
        "| {} | {} | {}{cut} ({}–{}) | {faster} | {:.2} | {:.2} | {} | {} | {flushes} | {} | {balances} |",
        seen.peer.name,
        lines.first().map_or("", |line| line.version.as_str()),
        round(rate),
        round(least),
        round(most),
        median(lines, |line| f64::from(line.p50_us)) / 1_000.0,
        median(lines, |line| f64::from(line.p99_us)) / 1_000.0,
        round(median(lines, |line| float(line.retries))),
        lines.iter().map(|line| line.errors).sum::<u64>(),
        seen.pool,
    )
}

/// Gives the middle one; of an even number the lower one of the two.
fn median(lines: &[Line], of: impl Fn(&Line) -> f64) -> f64 {
    let mut values: Vec<_> = lines.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a table needs no 53 bits")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and counts are small and not negative"
)]
fn round(number: f64) -> String {
    grouped(number.round() as u64)
}

/// Writes thousands with commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
