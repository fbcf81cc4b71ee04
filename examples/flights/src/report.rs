//! The summary that is printed.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;

use crate::import::{Survey, Tally};
use crate::verify::Verification;

/// Everything that a run found out, as a table.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the file holds.
    pub survey: Survey,
    /// What the import did.
    pub tally: Tally,
    /// What the comparison found.
    pub verification: Verification,
    /// How long the import took.
    pub took: Duration,
    /// How long the read models took to catch up afterwards.
    pub behind: Duration,
}

impl Report {
    /// Tells whether every row was read and everything agrees.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.survey.unreadable.is_empty() && self.verification.holds()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { survey, tally, verification, took, behind } = self;
        let mut line =
            |name: &str, count: u64, text: &str| writeln!(f, "{name:<18}{:>11}  {text}", HumanCount(count).to_string());
        line("rows", survey.rows, "")?;
        let dispatched = format!("{} new, {} done before", HumanCount(tally.done), HumanCount(tally.repeated));
        line("commands", tally.commands(), &dispatched)?;
        line("events", verification.events, "in the log")?;
        for (reason, count) in survey.unreadable.iter().chain(&tally.refused) {
            line("refused", *count, reason)?;
        }
        if tally.skipped > 0 {
            line("skipped", tally.skipped, "what followed in refused rows")?;
        }
        for (name, agreement) in verification.checks() {
            let sign = if agreement.holds() { "✓" } else { "✗" };
            let recorded = HumanCount(agreement.recorded);
            line(name, agreement.agreed, &format!("of {recorded} {sign}"))?;
        }
        if verification.twice > 0 {
            line("imported twice", verification.twice, "✗")?;
        }
        if verification.others > 0 {
            line("other flights", verification.others, "of another import are in the log")?;
        }
        let seconds = took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = tally.commands() as f64 / seconds.max(0.001);
        writeln!(f, "{:<18}{:>10.2}s  {rate:.0} commands a second", "time", seconds)?;
        writeln!(f, "{:<18}{:>10.2}s  until the read models had caught up", "", behind.as_secs_f64())
    }
}
