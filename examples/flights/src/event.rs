//! What happens to a flight.
//!
//! Whose flight it is stands in the stream's id, [`FlightId`](crate::id::FlightId), so the events need not repeat it.

use es_runtime::prelude::*;

use crate::value::{Airport, ClockTime, Delay, TailNumber};

/// The flight is in the timetable.
#[domain_event(name = "FlightScheduled")]
pub struct FlightScheduled {
    /// Where it goes.
    pub destination: Airport,
    /// With which aircraft, where one is assigned.
    pub aircraft: Option<TailNumber>,
    /// How far that is.
    pub miles: u16,
    /// When it is to leave, by the clock of its origin.
    pub departure: ClockTime,
    /// When it is to arrive, by the clock of its destination.
    pub arrival: ClockTime,
}

/// The flight will not leave.
#[domain_event(name = "FlightCancelled")]
pub struct FlightCancelled;

/// The flight has left its gate.
#[domain_event(name = "FlightDeparted")]
pub struct FlightDeparted {
    /// When, by the clock of its origin.
    pub at: ClockTime,
    /// How late.
    pub delay: Delay,
}

/// The flight left so late that it counts as delayed.
#[domain_event(name = "FlightDelayed")]
pub struct FlightDelayed {
    /// How late.
    pub delay: Delay,
}

/// The flight is at its destination's gate.
#[domain_event(name = "FlightArrived")]
pub struct FlightArrived {
    /// When, by the clock of its destination.
    pub at: ClockTime,
    /// How late.
    pub delay: Delay,
    /// How long it was in the air.
    pub air_minutes: u16,
}
