//! From events to rows.

use chrono::NaiveDate;
use es_runtime::prelude::*;

use crate::aggregate::Flight;
use crate::event::{FlightArrived, FlightCancelled, FlightDelayed, FlightDeparted, FlightScheduled};
use crate::read_model::{Board, FlightStatus, Leg, Rotation, Status};
use crate::value::{Airport, TailNumber};

/// Flights of one board have streams of their own, and meet in one row.
fn board_of<E>(event: &Recorded<E>) -> (Airport, NaiveDate) {
    let flight = event.id_of::<Flight>();
    (flight.origin().clone(), *flight.day())
}

#[projection(name = "boards", version = 1)]
impl Board {
    #[async_projection(key = board_of)]
    fn scheduled(this: Option<Self>, event: &Recorded<FlightScheduled>) -> Option<Self> {
        let mut this = this.unwrap_or_else(|| Self::of(board_of(event)));
        this.scheduled += 1;
        Some(this)
    }

    #[async_projection(key = board_of)]
    fn cancelled(&mut self, _: &Recorded<FlightCancelled>) {
        self.cancelled += 1;
    }

    #[async_projection(key = board_of)]
    fn departed(&mut self, event: &Recorded<FlightDeparted>) {
        self.departed += 1;
        self.on_time += u32::from(!event.delay.is_delayed());
        self.delay_minutes += i64::from(event.delay.minutes().max(0));
    }

    #[async_projection(key = board_of)]
    fn delayed(&mut self, _: &Recorded<FlightDelayed>) {
        self.delayed += 1;
    }
}

impl Board {
    fn of((airport, day): (Airport, NaiveDate)) -> Self {
        Self { airport, day, scheduled: 0, cancelled: 0, departed: 0, on_time: 0, delayed: 0, delay_minutes: 0 }
    }
}

/// A flight without an aircraft has the key of a row that is never made.
fn rotation_of(event: &Recorded<FlightScheduled>) -> (TailNumber, NaiveDate) {
    let aircraft = event.aircraft.clone().unwrap_or_else(TailNumber::none);
    (aircraft, *event.id_of::<Flight>().day())
}

#[projection(name = "rotations", version = 1)]
impl Rotation {
    #[async_projection(key = rotation_of)]
    fn scheduled(this: Option<Self>, event: &Recorded<FlightScheduled>) -> Option<Self> {
        let aircraft = event.aircraft.clone()?;
        let flight = event.id_of::<Flight>();
        let day = *flight.day();
        let mut this = this.unwrap_or(Self { aircraft, day, legs: Vec::new(), miles: 0 });
        let leg = Leg { departure: event.departure, flight, destination: event.destination.clone() };
        let place = this.legs.partition_point(|other| *other < leg);
        this.legs.insert(place, leg);
        this.miles += u32::from(event.miles);
        Some(this)
    }
}

/// In the append's transaction: who has recorded a departure reads it at once.
#[projection(name = "flight_statuses", version = 1)]
impl FlightStatus {
    #[sync_projection]
    fn scheduled(event: &Recorded<FlightScheduled>) -> Self {
        let (flight, destination) = (event.id_of::<Flight>(), event.destination.clone());
        Self { flight, destination, departure: event.departure, status: Status::Scheduled, late: None }
    }

    #[sync_projection]
    fn cancelled(&mut self, _: &Recorded<FlightCancelled>) {
        self.status = Status::Cancelled;
    }

    #[sync_projection]
    fn departed(&mut self, event: &Recorded<FlightDeparted>) {
        (self.status, self.late) = (Status::Departed, Some(event.delay.minutes()));
    }

    #[sync_projection]
    fn arrived(&mut self, event: &Recorded<FlightArrived>) {
        (self.status, self.late) = (Status::Arrived, Some(event.delay.minutes()));
    }
}
