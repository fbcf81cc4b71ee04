//! What airline operations ask for.

use es_runtime::prelude::*;

use crate::aggregate::Flight;
use crate::id::FlightId;
use crate::value::{Airport, ClockTime, TailNumber};

/// Puts a flight into the timetable.
#[command(aggregate = Flight)]
pub struct ScheduleFlight {
    /// The flight.
    #[id]
    pub flight: FlightId,
    /// Where it goes.
    pub destination: Airport,
    /// With which aircraft.
    pub aircraft: Option<TailNumber>,
    /// How far that is.
    pub miles: u16,
    /// When it is to leave.
    pub departure: ClockTime,
    /// When it is to arrive.
    pub arrival: ClockTime,
}

/// Cancels a flight that has not left.
#[command(aggregate = Flight)]
pub struct CancelFlight {
    /// The flight.
    #[id]
    pub flight: FlightId,
}

/// Says that a flight has left its gate.
#[command(aggregate = Flight)]
pub struct RecordDeparture {
    /// The flight.
    #[id]
    pub flight: FlightId,
    /// When, by the clock of its origin.
    pub at: ClockTime,
}

/// Says that a flight has come to a gate.
#[command(aggregate = Flight)]
pub struct RecordArrival {
    /// The flight.
    #[id]
    pub flight: FlightId,
    /// When, by the clock of its destination.
    pub at: ClockTime,
    /// How long it was in the air. Unknown where it was diverted.
    pub air_minutes: Option<u16>,
}
