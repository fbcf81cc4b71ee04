//! What names a flight.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use es_runtime::prelude::*;

use crate::value::{Airport, Carrier, NotAValue};

/// Names one flight: its day, carrier, number and origin, written `2013-01-01-UA-1545-EWR`.
///
/// The origin is part of it: some numbers leave two airports on one day.
#[value_object]
#[derive(PartialOrd, Ord)]
pub struct FlightId {
    day: NaiveDate,
    carrier: Carrier,
    number: u16,
    origin: Airport,
}

impl fmt::Display for FlightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.day, self.carrier, self.number, self.origin)
    }
}

/// Says why a text names no flight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFlight {
    /// The text has not six parts with `-` between them.
    #[error("`{0}` is not of the form `2013-01-01-UA-1545-EWR`")]
    Form(String),
    /// A part is wrong.
    #[error(transparent)]
    Part(#[from] NotAValue),
}

impl FromStr for FlightId {
    type Err = NotAFlight;

    fn from_str(text: &str) -> Result<Self, NotAFlight> {
        let form = || NotAFlight::Form(text.to_owned());
        let (rest, origin) = text.rsplit_once('-').ok_or_else(form)?;
        let (rest, number) = rest.rsplit_once('-').ok_or_else(form)?;
        let (day, carrier) = rest.rsplit_once('-').ok_or_else(form)?;
        let day = day.parse().map_err(|_| form())?;
        let number = number.parse().map_err(|_| form())?;
        Ok(Self::new(day, carrier.parse()?, number, origin.parse()?))
    }
}
