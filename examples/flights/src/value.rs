//! What the domain talks about: airports, carriers, aircraft, clock times, delays.

use std::fmt;
use std::str::FromStr;

use es_runtime::prelude::*;

/// Says why a text or a number is none of the domain's values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAValue {
    /// An airport's code has three capital letters.
    #[error("`{0}` is not an airport's code")]
    Airport(String),
    /// A carrier's code has two capital letters or digits.
    #[error("`{0}` is not a carrier's code")]
    Carrier(String),
    /// A tail number has up to six capital letters and digits.
    #[error("`{0}` is not a tail number")]
    TailNumber(String),
    /// A day has 1,440 minutes.
    #[error("minute {0} is not in a day")]
    ClockTime(u16),
    /// A time is written `05:15`.
    #[error("`{0}` is not a time")]
    Time(String),
}

fn is_code(text: &str, sizes: impl std::ops::RangeBounds<usize>) -> bool {
    sizes.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// An airport's IATA code, such as `JFK`.
#[value_object(validate)]
#[derive(PartialOrd, Ord)]
pub struct Airport(String);

#[value_object]
impl Airport {
    fn validate(&self) -> Result<(), NotAValue> {
        let letters = is_code(&self.0, 3..=3) && !self.0.bytes().any(|byte| byte.is_ascii_digit());
        if letters { Ok(()) } else { Err(NotAValue::Airport(self.0.clone())) }
    }
}

/// A carrier's IATA code, such as `UA` or `9E`.
#[value_object(validate)]
#[derive(PartialOrd, Ord)]
pub struct Carrier(String);

#[value_object]
impl Carrier {
    fn validate(&self) -> Result<(), NotAValue> {
        if is_code(&self.0, 2..=2) { Ok(()) } else { Err(NotAValue::Carrier(self.0.clone())) }
    }
}

/// The registration painted on an aircraft's tail, such as `N14228`.
#[value_object(validate)]
pub struct TailNumber(String);

#[value_object]
impl TailNumber {
    fn validate(&self) -> Result<(), NotAValue> {
        if is_code(&self.0, 2..=6) { Ok(()) } else { Err(NotAValue::TailNumber(self.0.clone())) }
    }

    /// Stands for no aircraft. No text parses to it.
    pub(crate) const fn none() -> Self {
        Self(String::new())
    }
}

/// Gives a value around one text its text form.
macro_rules! text_form {
    ($($name:ident),+) => {$(
        impl FromStr for $name {
            type Err = NotAValue;
            fn from_str(text: &str) -> Result<Self, NotAValue> {
                Self::new(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}
text_form!(Airport, Carrier, TailNumber);

/// Minutes of a day.
const DAY: i32 = 24 * 60;

/// What the clock at an airport showed, in minutes after its midnight.
///
/// Not an instant: the timetable is printed in the airport's own time, and nobody says here in which zone a destination
/// lies. Two readings of the *same* clock can be subtracted, which is all that a delay needs.
#[value_object(validate)]
#[derive(Copy, PartialOrd, Ord)]
pub struct ClockTime(u16);

#[value_object]
impl ClockTime {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "`validate` takes a reference, for all values")]
    fn validate(&self) -> Result<(), NotAValue> {
        if i32::from(self.0) < DAY { Ok(()) } else { Err(NotAValue::ClockTime(self.0)) }
    }

    /// Gives the minutes after midnight.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// Gives the minutes from `earlier` to this reading, which are known only up to whole days: those that are not less
    /// than `least` and less than a day above it.
    #[must_use]
    pub fn minutes_since(self, earlier: Self, least: i32) -> i32 {
        (i32::from(self.0) - i32::from(earlier.0) - least).rem_euclid(DAY) + least
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for ClockTime {
    type Err = NotAValue;

    fn from_str(text: &str) -> Result<Self, NotAValue> {
        let not_a_time = || NotAValue::Time(text.to_owned());
        let (hours, minutes) = text.split_once(':').ok_or_else(not_a_time)?;
        let number = |text: &str, below: u16| text.parse::<u16>().ok().filter(|number| *number < below);
        match (number(hours, 24), number(minutes, 60)) {
            (Some(hours), Some(minutes)) => Self::new(hours * 60 + minutes),
            _ => Err(not_a_time()),
        }
    }
}

/// How many minutes late something was; negative when it was early.
#[value_object]
#[derive(Copy, PartialOrd, Ord)]
pub struct Delay(i16);

impl Delay {
    /// Nothing leaves or arrives earlier than this before its time; what seems to is late, on the next day.
    const EARLIEST: i32 = -2 * 60;
    /// From here on a flight counts as delayed, in the industry's statistics.
    const DELAYED: i16 = 15;

    /// Compares what happened with the timetable, both by the same clock.
    #[must_use]
    pub fn between(scheduled: ClockTime, actual: ClockTime) -> Self {
        let minutes = actual.minutes_since(scheduled, Self::EARLIEST);
        // Less than a day: it always fits.
        Self(i16::try_from(minutes).unwrap_or(i16::MAX))
    }

    /// Gives the minutes.
    #[must_use]
    pub const fn minutes(self) -> i16 {
        self.0
    }

    /// Tells whether the flight counts as delayed: a quarter of an hour or more.
    #[must_use]
    pub const fn is_delayed(self) -> bool {
        self.0 >= Self::DELAYED
    }
}
