//! What is asked.

use chrono::NaiveDate;
use es_runtime::prelude::*;
use es_runtime::read_model::{Cursor, Page};

use crate::id::FlightId;
use crate::read_model::{Board, FlightStatus, Rotation};
use crate::value::{Airport, TailNumber};

/// How punctual was an airport on a day?
#[query(output = Option<Board>)]
pub struct BoardOf {
    /// The airport.
    pub airport: Airport,
    /// The day.
    pub day: NaiveDate,
}

/// Where and when were most flights delayed?
#[query(output = Page<Board>)]
pub struct WorstBoards {
    /// So many boards a page.
    pub rows: usize,
    /// The end of the page before, if there is one.
    pub after: Option<Cursor>,
}

/// Where does an aircraft go on a day?
#[query(output = Option<Rotation>)]
pub struct RotationOf {
    /// The aircraft.
    pub aircraft: TailNumber,
    /// The day.
    pub day: NaiveDate,
}

/// What does the gate show about a flight?
#[query(output = Option<FlightStatus>)]
pub struct StatusOf {
    /// The flight.
    pub flight: FlightId,
}

#[query_handler]
async fn board_of(query: BoardOf, boards: &Table<Board>) -> Result<Option<Board>, ReadModelError> {
    boards.get(&(query.airport, query.day)).await
}

#[query_handler]
async fn worst_boards(query: WorstBoards, boards: &Table<Board>) -> Result<Page<Board>, ReadModelError> {
    boards.query().order_by(Board::DELAYED.desc()).after(query.after).page(query.rows).await
}

#[query_handler]
async fn rotation_of(query: RotationOf, rotations: &Table<Rotation>) -> Result<Option<Rotation>, ReadModelError> {
    rotations.get(&(query.aircraft, query.day)).await
}

#[query_handler]
async fn status_of(query: StatusOf, statuses: &Table<FlightStatus>) -> Result<Option<FlightStatus>, ReadModelError> {
    statuses.get(&query.flight).await
}
