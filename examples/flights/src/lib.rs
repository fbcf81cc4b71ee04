//! Airline operations on real data: command → handler → aggregate → event → store → projection → read model.
//!
//! [Commands](mod@command) are handed to the [handlers](handler) of one [aggregate](mod@aggregate), a flight, which decide
//! which [events](event) are stored. [Projections](mod@projection) turn these into [read models](mod@read_model), and
//! [queries](mod@query) ask those. [`rows`] reads a CSV file of flights, [`import`] turns its rows into commands, and
//! [`verify`] compares what events and read models say afterwards with what the file knows itself.

pub mod aggregate;
pub mod ask;
pub mod catch_up;
pub mod command;
pub mod event;
pub mod handler;
pub mod id;
pub mod import;
pub mod projection;
pub mod query;
pub mod read_model;
pub mod report;
pub mod rows;
pub mod value;
pub mod verify;

use es_runtime::app::NotCaughtUp;
use es_runtime::error::QueryError;
use es_runtime::event::StreamIdError;
use es_runtime::prelude::*;

use aggregate::Flight;
use command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};
use query::{BoardOf, RotationOf, StatusOf, WorstBoards};
use read_model::{Board, FlightStatus, Rotation};

domain! {
    /// Flights, from the timetable to the gate.
    pub Flights = "flights";
    aggregates: [Flight];
    commands: [ScheduleFlight, CancelFlight, RecordDeparture, RecordArrival];
    queries: [BoardOf, WorstBoards, RotationOf, StatusOf];
    projections: [Board, Rotation, FlightStatus];
}

/// Says why an import, its verification or a question came to no end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file could not be read on.
    #[error(transparent)]
    Rows(#[from] rows::RowError),
    /// A command met a failure that is not the domain's.
    #[error(transparent)]
    Dispatch(DispatchError<AnyDomainError>),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stream is not a flight's.
    #[error(transparent)]
    Stream(#[from] StreamIdError),
    /// A read model could not be read.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
    /// A query was not answered.
    #[error(transparent)]
    Query(#[from] QueryError<ReadModelError>),
    /// The read models are behind the log, and do not come after.
    #[error(transparent)]
    Behind(#[from] NotCaughtUp),
}
