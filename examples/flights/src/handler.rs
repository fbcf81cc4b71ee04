//! The rules: which command leads to which events, and which is refused.

use es_runtime::prelude::*;

use crate::aggregate::{Flight, Stage};
use crate::command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};
use crate::event::{FlightArrived, FlightCancelled, FlightDelayed, FlightDeparted, FlightScheduled};
use crate::value::{ClockTime, Delay};

/// Says why a command about a flight was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlightError {
    /// It would go nowhere.
    #[error("a flight goes to another airport than its own")]
    ToItsOrigin,
    /// It was cancelled.
    #[error("the flight is cancelled")]
    Cancelled,
    /// It left before.
    #[error("the flight has left already")]
    HasLeft,
    /// It has not left.
    #[error("a flight arrives after it has left")]
    HasNotLeft,
    /// It arrived before.
    #[error("the flight has arrived already")]
    HasArrived,
    /// Nobody knows how long it flew.
    #[error("an arrival without its air time: where the flight was diverted, this is not its destination")]
    NoAirTime,
    /// No airliner is as fast as that.
    #[error("faster than sound: the air time is too short for the distance")]
    Supersonic,
    /// The clocks at both gates do not leave room for the air time.
    #[error("the air time does not fit between departure and arrival")]
    AirTimeDoesNotFit,
}

#[aggregate]
impl Flight {
    #[command_handler]
    fn schedule(command: ScheduleFlight) -> Result<FlightScheduled, FlightError> {
        let ScheduleFlight { flight, destination, aircraft, miles, departure, arrival } = command;
        if destination == *flight.origin() {
            return Err(FlightError::ToItsOrigin);
        }
        Ok(FlightScheduled { destination, aircraft, miles, departure, arrival })
    }

    #[command_handler]
    fn cancel(&self, _: CancelFlight) -> Result<FlightCancelled, FlightError> {
        self.still_at_the_gate()?;
        Ok(FlightCancelled)
    }

    #[command_handler]
    fn depart(&self, command: RecordDeparture) -> Result<(FlightDeparted, Option<FlightDelayed>), FlightError> {
        self.still_at_the_gate()?;
        let delay = Delay::between(self.departure, command.at);
        let delayed = delay.is_delayed().then_some(FlightDelayed { delay });
        Ok((FlightDeparted { at: command.at, delay }, delayed))
    }

    #[command_handler]
    fn arrive(&self, command: RecordArrival) -> Result<FlightArrived, FlightError> {
        let departed = self.in_the_air()?;
        let air_minutes = command.air_minutes.ok_or(FlightError::NoAirTime)?;
        self.not_faster_than_sound(air_minutes)?;
        fits(departed, command.at, air_minutes)?;
        Ok(FlightArrived { at: command.at, delay: Delay::between(self.arrival, command.at), air_minutes })
    }

    fn still_at_the_gate(&self) -> Result<(), FlightError> {
        match self.stage {
            Stage::Scheduled => Ok(()),
            Stage::Cancelled => Err(FlightError::Cancelled),
            Stage::Departed(_) | Stage::Arrived => Err(FlightError::HasLeft),
        }
    }

    fn in_the_air(&self) -> Result<ClockTime, FlightError> {
        match self.stage {
            Stage::Departed(at) => Ok(at),
            Stage::Scheduled => Err(FlightError::HasNotLeft),
            Stage::Cancelled => Err(FlightError::Cancelled),
            Stage::Arrived => Err(FlightError::HasArrived),
        }
    }

    /// Airliners fly at up to some 600 miles an hour, with the wind behind them at 700.
    fn not_faster_than_sound(&self, air_minutes: u16) -> Result<(), FlightError> {
        const MILES_AN_HOUR: u32 = 767;
        let possible = MILES_AN_HOUR * u32::from(air_minutes) >= u32::from(self.miles) * 60;
        if possible { Ok(()) } else { Err(FlightError::Supersonic) }
    }
}

/// Checks that what the two clocks show leaves room for the air time.
///
/// What is left of it is the way to and from the runways, at most four hours, and the zones' difference: destinations
/// lie between Puerto Rico, one hour ahead, and Hawaii, six behind.
fn fits(departed: ClockTime, arrived: ClockTime, air_minutes: u16) -> Result<(), FlightError> {
    const HAWAII: i32 = -6 * 60;
    const TAXI_AND_PUERTO_RICO: i32 = (4 + 1) * 60;
    let air_minutes = i32::from(air_minutes);
    let rest = arrived.minutes_since(departed, air_minutes + HAWAII) - air_minutes;
    if rest <= TAXI_AND_PUERTO_RICO { Ok(()) } else { Err(FlightError::AirTimeDoesNotFit) }
}
