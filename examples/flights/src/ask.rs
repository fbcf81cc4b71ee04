//! Questions on the command line, and their answers as text.

use std::fmt::Write as _;

use chrono::NaiveDate;
use clap::Subcommand;
use es_runtime::app::DomainOn;
use es_runtime::prelude::*;
use es_runtime::read_model::Cursor;
use es_runtime::store::Store;
use indicatif::HumanCount;

use crate::id::FlightId;
use crate::query::{BoardOf, RotationOf, StatusOf, WorstBoards};
use crate::read_model::{Board, FlightStatus, Rotation};
use crate::value::{Airport, TailNumber};
use crate::{Error, Flights};

/// A question to the read models.
#[derive(Clone, Debug, Subcommand)]
pub enum Ask {
    /// How punctual an airport was on a day: `board JFK 2013-01-05`.
    Board {
        /// The airport.
        airport: Airport,
        /// The day.
        day: NaiveDate,
    },
    /// Where and when most flights were delayed.
    Worst {
        /// So many boards a page.
        #[arg(long, default_value_t = 10)]
        rows: usize,
        /// Where the page before ended.
        #[arg(long)]
        after: Option<Cursor>,
    },
    /// Where an aircraft goes on a day: `rotation N14228 2013-01-05`.
    Rotation {
        /// The aircraft.
        aircraft: TailNumber,
        /// The day.
        day: NaiveDate,
    },
    /// What the gate shows about a flight: `status 2013-01-01-UA-1545-EWR`.
    Status {
        /// The flight.
        flight: FlightId,
    },
}

impl Ask {
    /// Gives the answer.
    ///
    /// # Errors
    ///
    /// Where the read models cannot be read.
    pub async fn answer<S: Store>(self, app: &App<Flights, S>) -> Result<String, Error>
    where
        Flights: DomainOn<S>,
    {
        let text = match self {
            Self::Board { airport, day } => app.query(BoardOf { airport, day }).await?.map(|board| line(&board)),
            Self::Worst { rows, after } => Some(worst(app, rows, after).await?),
            Self::Rotation { aircraft, day } => {
                app.query(RotationOf { aircraft, day }).await?.map(|rotation| legs(&rotation))
            }
            Self::Status { flight } => app.query(StatusOf { flight }).await?.map(|status| gate(&status)),
        };
        Ok(text.unwrap_or_else(|| "nothing is known about that\n".to_owned()))
    }
}

async fn worst<S: Store>(app: &App<Flights, S>, rows: usize, after: Option<Cursor>) -> Result<String, Error>
where
    Flights: DomainOn<S>,
{
    let page = app.query(WorstBoards { rows, after }).await?;
    let mut text: String = page.rows.iter().map(line).collect();
    if let Some(next) = page.next {
        let _ = writeln!(text, "next page: --after {next}");
    }
    Ok(text)
}

fn line(board: &Board) -> String {
    let Board { airport, day, scheduled, cancelled, on_time, delayed, delay_minutes, .. } = board;
    let minutes = HumanCount(delay_minutes.unsigned_abs());
    format!(
        "{airport} {day}  {scheduled:>3} scheduled  {cancelled:>3} cancelled  {on_time:>3} on time  {delayed:>3} delayed  \
         {minutes:>6} minutes late\n",
        minutes = minutes.to_string()
    )
}

fn legs(rotation: &Rotation) -> String {
    let Rotation { aircraft, day, legs, miles } = rotation;
    let mut text = format!("{aircraft} {day}  {} miles\n", HumanCount(u64::from(*miles)));
    for leg in legs {
        let _ = writeln!(text, "  {}  {} -> {}  {}", leg.departure, leg.flight.origin(), leg.destination, leg.flight);
    }
    text
}

fn gate(status: &FlightStatus) -> String {
    let FlightStatus { flight, destination, departure, status, late } = status;
    let late = match late {
        Some(minutes @ 1..) => format!(", {minutes} minutes late"),
        Some(minutes @ ..0) => format!(", {} minutes early", minutes.unsigned_abs()),
        Some(0) => ", on the minute".to_owned(),
        None => String::new(),
    };
    format!("{flight}  to {destination} at {departure}  {status}{late}\n")
}
