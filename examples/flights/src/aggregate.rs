//! A flight: what has happened to it decides what may happen next.

use es_runtime::prelude::*;

use crate::event::{FlightArrived, FlightCancelled, FlightDelayed, FlightDeparted, FlightScheduled};
use crate::id::FlightId;
use crate::value::ClockTime;

/// One flight on one day.
#[aggregate(
    name = "flight",
    id = FlightId,
    events(FlightScheduled, FlightCancelled, FlightDeparted, FlightDelayed, FlightArrived)
)]
pub struct Flight {
    pub(crate) miles: u16,
    pub(crate) departure: ClockTime,
    pub(crate) arrival: ClockTime,
    pub(crate) stage: Stage,
}

/// How far a flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is in the timetable.
    Scheduled,
    /// It will not leave.
    Cancelled,
    /// It has left its gate at this time.
    Departed(ClockTime),
    /// It is at its destination's gate.
    Arrived,
}

#[aggregate]
impl Flight {
    #[apply]
    fn scheduled(event: &FlightScheduled) -> Self {
        Self { miles: event.miles, departure: event.departure, arrival: event.arrival, stage: Stage::Scheduled }
    }

    #[apply]
    fn cancelled(&mut self, _: &FlightCancelled) {
        self.stage = Stage::Cancelled;
    }

    #[apply]
    fn departed(&mut self, event: &FlightDeparted) {
        self.stage = Stage::Departed(event.at);
    }

    #[apply]
    fn delayed(&mut self, _: &FlightDelayed) {}

    #[apply]
    fn arrived(&mut self, _: &FlightArrived) {
        self.stage = Stage::Arrived;
    }
}
