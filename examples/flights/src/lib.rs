//! Airline operations on real data: command → handler → aggregate → event → store.
//!
//! [Commands](mod@command) are handed to the [handlers](handler) of one [aggregate](mod@aggregate), a flight, which decide
//! which [events](event) are stored. [`rows`] reads a CSV file of flights, [`import`] turns its rows into commands, and
//! [`verify`] compares what the events say afterwards with what the file knows itself.

pub mod aggregate;
pub mod command;
pub mod event;
pub mod handler;
pub mod id;
pub mod import;
pub mod report;
pub mod rows;
pub mod value;
pub mod verify;

use es_runtime::event::StreamIdError;
use es_runtime::prelude::*;

use aggregate::Flight;
use command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};

domain! {
    /// Flights, from the timetable to the gate.
    pub Flights = "flights";
    aggregates: [Flight];
    commands: [ScheduleFlight, CancelFlight, RecordDeparture, RecordArrival];
}

/// Says why an import or its verification came to no end.
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
}
