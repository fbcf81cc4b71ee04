//! What is looked at: rows shaped for a question.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use es_runtime::prelude::*;
use serde::{Deserialize, Serialize};

use crate::id::FlightId;
use crate::value::{Airport, ClockTime, TailNumber};

/// How punctual an airport was on a day: of the flights that leave there.
#[read_model(table = "boards")]
pub struct Board {
    /// The airport.
    #[key]
    pub airport: Airport,
    /// The day.
    #[key]
    pub day: NaiveDate,
    /// Flights in the timetable.
    pub scheduled: u32,
    /// Those that were cancelled.
    pub cancelled: u32,
    /// Those that left.
    pub departed: u32,
    /// Those that left on time: less than a quarter of an hour late.
    pub on_time: u32,
    /// Those that left later than that.
    #[index]
    pub delayed: u32,
    /// How many minutes all of them left late; who left early makes up for nobody.
    #[index]
    pub delay_minutes: i64,
}

/// Where an aircraft goes on a day. Flights without an aircraft are on none.
#[read_model(table = "rotations")]
pub struct Rotation {
    /// The aircraft.
    #[key]
    pub aircraft: TailNumber,
    /// The day.
    #[key]
    pub day: NaiveDate,
    /// Its flights in the order in which they are to leave, whatever order the timetable was entered in.
    #[json]
    pub legs: Vec<Leg>,
    /// How far they go, together.
    #[index]
    pub miles: u32,
}

/// One flight of a rotation. Its fields stand in the order that sorts legs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Leg {
    /// When it is to leave, by the clock of its origin.
    pub departure: ClockTime,
    /// The flight.
    pub flight: FlightId,
    /// Where it goes.
    pub destination: Airport,
}

/// What a gate shows about a flight.
#[read_model(table = "flight_statuses")]
pub struct FlightStatus {
    /// The flight.
    #[key]
    pub flight: FlightId,
    /// Where it goes.
    pub destination: Airport,
    /// When it is to leave, by the clock of its origin.
    pub departure: ClockTime,
    /// How far it has come.
    pub status: Status,
    /// How many minutes late it was last, at either gate; negative when early.
    pub late: Option<i16>,
}

/// How far a flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is in the timetable.
    Scheduled,
    /// It will not leave.
    Cancelled,
    /// It has left.
    Departed,
    /// It has come to a gate.
    Arrived,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scheduled => "scheduled",
            Self::Cancelled => "cancelled",
            Self::Departed => "departed",
            Self::Arrived => "arrived",
        })
    }
}

/// Says that a text is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a flight's status")]
pub struct NotAStatus(String);

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        match text {
            "scheduled" => Ok(Self::Scheduled),
            "cancelled" => Ok(Self::Cancelled),
            "departed" => Ok(Self::Departed),
            "arrived" => Ok(Self::Arrived),
            other => Err(NotAStatus(other.to_owned())),
        }
    }
}
