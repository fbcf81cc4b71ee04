//! From rows to commands, many in flight.

use std::collections::BTreeMap;
use std::path::Path;

use es_runtime::app::DomainOn;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;

use crate::command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};
use crate::rows::{self, Row, RowError};
use crate::{Error, Flights, FlightsCommand};

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands that took effect.
    pub done: u64,
    /// Commands that an earlier run had done.
    pub repeated: u64,
    /// Refused rows, by their reasons.
    pub refused: BTreeMap<String, u64>,
    /// Commands about flights that had been refused: what follows in such a row has nothing to happen to.
    pub skipped: u64,
}

impl Tally {
    /// Counts the commands that were dispatched.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.done + self.repeated + self.skipped + self.refused.values().sum::<u64>()
    }

    fn refuse(&mut self, reason: &impl ToString) {
        *self.refused.entry(reason.to_string()).or_default() += 1;
    }
}

/// What a file holds, found out before it is imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Its rows.
    pub rows: u64,
    /// The commands they amount to.
    pub commands: u64,
    /// The rows that cannot be read, by their reasons.
    pub unreadable: BTreeMap<String, u64>,
}

/// Reads the whole file once.
///
/// # Errors
///
/// Where the file cannot be read. A row that cannot be read is counted.
pub fn survey(path: &Path) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for row in rows::read(path)? {
        survey.rows += 1;
        match row {
            Ok(row) => survey.commands += commands(row).count() as u64,
            Err(RowError::Unreadable(reason)) => *survey.unreadable.entry(reason).or_default() += 1,
            Err(error @ RowError::File(_)) => return Err(error.into()),
        }
    }
    Ok(survey)
}

/// Imports a file. What an earlier run has imported is recognised by its idempotency keys and not done again.
///
/// # Errors
///
/// Where the store fails. What the domain refuses is counted.
///
/// # Cancel safety
///
/// Stopped at any moment, by whatever, it can be run again.
pub async fn import<S: Store>(
    app: &App<Flights, S>,
    path: &Path,
    in_flight: usize,
    bar: &ProgressBar,
) -> Result<Tally, Error>
where
    Flights: DomainOn<S>,
{
    let rows = rows::read(path)?.filter_map(Result::ok);
    let commands = stream::iter(rows.flat_map(commands));
    let mut outcomes = app.dispatch_all(commands).in_flight(in_flight).idempotency_key(key);
    let mut tally = Tally::default();
    while let Some(imported) = outcomes.next().await {
        match imported.outcome {
            Ok(receipt) if receipt.replayed() => tally.repeated += 1,
            Ok(_) => tally.done += 1,
            Err(DispatchError::Domain(rule)) => tally.refuse(&rule),
            Err(DispatchError::NotFound { .. }) => tally.skipped += 1,
            Err(error) => return Err(Error::Dispatch(error)),
        }
        bar.inc(1);
    }
    Ok(tally)
}

/// Says what a row wants to happen, in the order in which it happened.
fn commands(row: Row) -> impl Iterator<Item = FlightsCommand> {
    let flight = row.flight;
    let arrival = row.arrival.map(|at| RecordArrival { flight: flight.clone(), at, air_minutes: row.air_minutes });
    let departure = match row.departure {
        Some(at) => RecordDeparture { flight: flight.clone(), at }.into(),
        None => CancelFlight { flight: flight.clone() }.into(),
    };
    let schedule = ScheduleFlight {
        flight,
        destination: row.destination,
        aircraft: row.aircraft,
        miles: row.miles,
        departure: row.scheduled_departure,
        arrival: row.scheduled_arrival,
    };
    [schedule.into(), departure].into_iter().chain(arrival.map(Into::into))
}

/// Names a step of a row, so that it is taken once.
fn key(command: &FlightsCommand) -> String {
    match command {
        FlightsCommand::ScheduleFlight(command) => format!("{}/schedule", command.flight),
        FlightsCommand::CancelFlight(command) => format!("{}/cancel", command.flight),
        FlightsCommand::RecordDeparture(command) => format!("{}/departure", command.flight),
        FlightsCommand::RecordArrival(command) => format!("{}/arrival", command.flight),
    }
}
