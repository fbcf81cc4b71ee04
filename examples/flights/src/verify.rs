//! What the data knows itself, against what the events and the read models say.

mod read_model;

use std::collections::HashMap;
use std::path::Path;

use es_runtime::app::DomainOn;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::TryStreamExt as _;

use read_model::Expected;

use crate::aggregate::{Flight, FlightEvent};
use crate::id::FlightId;
use crate::rows::{self, Row, RowError};
use crate::value::{ClockTime, Delay};
use crate::{Error, Flights, FlightsEvent};

/// How many of a thing the data and the log or a read model agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// So many there are in the data.
    pub recorded: u64,
    /// So many the events or the rows have.
    pub found: u64,
    /// So many are the same in both.
    pub agreed: u64,
}

impl Agreement {
    /// Tells whether both agree on all.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.recorded == self.found && self.found == self.agreed
    }

    const fn count(&mut self, recorded: bool, found: bool, agreed: bool) {
        self.recorded += recorded as u64;
        self.found += found as u64;
        self.agreed += (recorded && found && agreed) as u64;
    }
}

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The events read from the log.
    pub events: u64,
    /// Flights of the log that are not in the file: of another import.
    pub others: u64,
    /// Things that happened to one flight twice.
    pub twice: u64,
    /// The flights.
    pub flights: Agreement,
    /// Those that were cancelled.
    pub cancelled: Agreement,
    /// Those that left and have no arrival delay: diverted, or nobody knows.
    pub unfinished: Agreement,
    /// The delays of departures, recomputed from the times in the events.
    pub departure_delays: Agreement,
    /// The delays of arrivals, recomputed from the times in the events.
    pub arrival_delays: Agreement,
    /// The boards, all numbers of each.
    pub boards: Agreement,
    /// The delay minutes on all boards.
    pub board_minutes: Agreement,
    /// The rotations, with their legs in order.
    pub rotations: Agreement,
    /// The legs of all rotations: the flights with an aircraft.
    pub legs: Agreement,
    /// What the gates show.
    pub statuses: Agreement,
}

impl Verification {
    /// Gives the comparisons with their names.
    #[must_use]
    pub const fn checks(&self) -> [(&'static str, &Agreement); 10] {
        [
            ("flights", &self.flights),
            ("cancelled", &self.cancelled),
            ("unfinished", &self.unfinished),
            ("departure delays", &self.departure_delays),
            ("arrival delays", &self.arrival_delays),
            ("boards", &self.boards),
            ("minutes on them", &self.board_minutes),
            ("rotations", &self.rotations),
            ("legs on them", &self.legs),
            ("statuses", &self.statuses),
        ]
    }

    /// Tells whether everything agrees and nothing happened twice.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.twice == 0 && self.checks().iter().all(|(_, agreement)| agreement.holds())
    }
}

/// What the events say about one flight.
#[derive(Default)]
struct Story {
    scheduled: Option<(ClockTime, ClockTime)>,
    departed: Option<(ClockTime, Delay)>,
    arrived: Option<(ClockTime, Delay)>,
    cancelled: bool,
}

/// Reads the whole log and all read models and compares them with the file, row by row. The read models must have caught up.
///
/// # Errors
///
/// Where the log, a read model or the file cannot be read. What does not agree is counted.
pub async fn verify<S: Store>(app: &App<Flights, S>, path: &Path) -> Result<Verification, Error>
where
    Flights: DomainOn<S>,
{
    let mut found = Verification::default();
    let mut stories: HashMap<FlightId, Story> = HashMap::new();
    let mut log = app.events().decode::<Flights>();
    while let Some(event) = log.try_next().await? {
        found.events += 1;
        let story = stories.entry(event.try_id_of::<Flight>()?).or_default();
        let FlightsEvent::Flight(event) = event.event();
        found.twice += u64::from(story.tell(event));
    }
    let mut expected = Expected::default();
    for row in rows::read(path)? {
        match row {
            Ok(row) => {
                expected.add(&row);
                let story = stories.remove(&row.flight).unwrap_or_default();
                found.compare(&row, &story);
            }
            Err(RowError::Unreadable(_)) => {}
            Err(error @ RowError::File(_)) => return Err(error.into()),
        }
    }
    found.others = stories.len() as u64;
    expected.compare(app, &mut found).await?;
    Ok(found)
}

impl Story {
    /// Adds an event, and tells whether it had been told before.
    fn tell(&mut self, event: &FlightEvent) -> bool {
        match event {
            FlightEvent::FlightScheduled(event) => self.scheduled.replace((event.departure, event.arrival)).is_some(),
            FlightEvent::FlightCancelled(_) => std::mem::replace(&mut self.cancelled, true),
            FlightEvent::FlightDeparted(event) => self.departed.replace((event.at, event.delay)).is_some(),
            FlightEvent::FlightArrived(event) => self.arrived.replace((event.at, event.delay)).is_some(),
            FlightEvent::FlightDelayed(_) => false,
        }
    }
}

impl Verification {
    fn compare(&mut self, row: &Row, story: &Story) {
        let (departure, arrival) = story.scheduled.unzip();
        let unfinished = |left: bool, arrived: bool| left && !arrived;
        self.flights.count(true, story.scheduled.is_some(), true);
        self.cancelled.count(row.departure.is_none(), story.cancelled, true);
        self.unfinished.count(
            unfinished(row.departure.is_some(), row.arrival_delay.is_some()),
            unfinished(story.departed.is_some(), story.arrived.is_some()),
            true,
        );
        self.departure_delays.compare(row.departure_delay, departure, story.departed);
        self.arrival_delays.compare(row.arrival_delay, arrival, story.arrived);
    }
}

impl Agreement {
    /// Compares the file's delay with the event's, and with the one that the event's times amount to.
    fn compare(&mut self, recorded: Option<i16>, scheduled: Option<ClockTime>, actual: Option<(ClockTime, Delay)>) {
        let agreed = match (recorded, scheduled, actual) {
            (Some(recorded), Some(scheduled), Some((actual, delay))) => {
                let late = i32::from(actual.minutes()) - i32::from(scheduled.minutes());
                delay.minutes() == recorded && (late - i32::from(recorded)) % (24 * 60) == 0
            }
            _ => false,
        };
        self.count(recorded.is_some(), actual.is_some(), agreed);
    }
}
