//! Goals: what is compared with what, and what the ratio has to be.

use std::time::Duration;

/// One line of the table, over the measures of a program.
#[derive(Clone, Copy, Debug)]
pub struct Goal<M: 'static> {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// Measures the runtime.
    pub ours: M,
    /// What it is compared with, and its name.
    pub theirs: Option<(&'static str, M)>,
    /// What the ratio has to be.
    pub aim: Aim,
}

/// What the ratio has to be.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// At least this.
    Ratio(f64),
    /// At least this where a flush takes about a millisecond or more; where it is cheap, the other.
    ByFlush(f64, f64),
    /// At most this part of the processor time.
    Cpu(f64),
    /// At most this long an event.
    Nanoseconds(f64),
    /// At most this long an event, with at most that many allocations.
    Cost(f64, f64),
    /// Nearly always visible within so many milliseconds.
    Lag(f64),
    /// At most so many a second.
    Most(f64),
    /// To be looked at only.
    None,
}

impl Aim {
    /// Gives the ratio to reach.
    #[must_use]
    pub fn ratio(self, flush: Duration) -> Option<f64> {
        match self {
            Self::Ratio(ratio) => Some(ratio),
            Self::ByFlush(slow, cheap) => Some(if flush > Duration::from_micros(800) { slow } else { cheap }),
            Self::Cpu(_) | Self::Nanoseconds(_) | Self::Cost(..) | Self::Lag(_) | Self::Most(_) | Self::None => None,
        }
    }
}

/// Makes a line that compares.
#[must_use]
pub const fn goal<M: Copy>(
    name: &'static str,
    what: &'static str,
    ours: M,
    whose: &'static str,
    theirs: M,
    aim: Aim,
) -> Goal<M> {
    Goal { name, what, ours, theirs: Some((whose, theirs)), aim }
}

/// Makes a line that stands alone.
#[must_use]
pub const fn alone<M: Copy>(name: &'static str, what: &'static str, ours: M, aim: Aim) -> Goal<M> {
    Goal { name, what, ours, theirs: None, aim }
}
