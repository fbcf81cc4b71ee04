//! The rows of the CSV file, as the domain's values.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;
use std::str::FromStr;

use chrono::NaiveDate;
use csv::{DeserializeErrorKind, ErrorKind};
use flate2::read::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::id::FlightId;
use crate::value::{Airport, Carrier, ClockTime, TailNumber};

/// What the file knows about one flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The flight.
    pub flight: FlightId,
    /// Where it was to go.
    pub destination: Airport,
    /// With which aircraft.
    pub aircraft: Option<TailNumber>,
    /// How far that is.
    pub miles: u16,
    /// When it was to leave.
    pub scheduled_departure: ClockTime,
    /// When it was to arrive.
    pub scheduled_arrival: ClockTime,
    /// When it left.
    pub departure: Option<ClockTime>,
    /// When it came to a gate.
    pub arrival: Option<ClockTime>,
    /// How long it was in the air.
    pub air_minutes: Option<u16>,
    /// How many minutes late it left, says the file.
    pub departure_delay: Option<i16>,
    /// How many minutes late it arrived, says the file.
    pub arrival_delay: Option<i16>,
}

/// A line as it is written.
#[derive(serde::Deserialize)]
struct Line {
    year: i32,
    month: u32,
    day: u32,
    #[serde(deserialize_with = "value")]
    carrier: Carrier,
    flight: u16,
    #[serde(deserialize_with = "value")]
    origin: Airport,
    #[serde(deserialize_with = "value")]
    dest: Airport,
    #[serde(deserialize_with = "value_or_na")]
    tailnum: Option<TailNumber>,
    distance: u16,
    #[serde(deserialize_with = "clock")]
    sched_dep_time: ClockTime,
    #[serde(deserialize_with = "clock")]
    sched_arr_time: ClockTime,
    #[serde(deserialize_with = "clock_or_na")]
    dep_time: Option<ClockTime>,
    #[serde(deserialize_with = "clock_or_na")]
    arr_time: Option<ClockTime>,
    #[serde(deserialize_with = "value_or_na")]
    air_time: Option<u16>,
    #[serde(deserialize_with = "value_or_na")]
    dep_delay: Option<i16>,
    #[serde(deserialize_with = "value_or_na")]
    arr_delay: Option<i16>,
}

/// Says why a line was not read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The line does not say what a flight's line says. Other lines may.
    #[error("{0}")]
    Unreadable(String),
    /// The file cannot be read on.
    #[error(transparent)]
    File(csv::Error),
}

/// Opens a CSV file, compressed with gzip or plain, and gives its rows.
///
/// # Errors
///
/// Where the file cannot be opened.
pub fn read(path: &Path) -> io::Result<impl Iterator<Item = Result<Row, RowError>> + Send + Unpin + 'static> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(2).read_to_end(&mut magic)?;
    file.rewind()?;
    let text: Box<dyn Read + Send> = match magic.as_slice() {
        [0x1f, 0x8b] => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        _ => Box::new(file),
    };
    let mut lines = csv::Reader::from_reader(text);
    let columns = lines.headers().map_err(io::Error::from)?.clone();
    let rows = lines.into_deserialize::<Line>().map(move |line| match line {
        Ok(line) => line.row(),
        Err(error) => Err(refused(error, &columns)),
    });
    Ok(rows)
}

impl Line {
    fn row(self) -> Result<Row, RowError> {
        let day = NaiveDate::from_ymd_opt(self.year, self.month, self.day)
            .ok_or_else(|| RowError::Unreadable("there is no such day".to_owned()))?;
        Ok(Row {
            flight: FlightId::new(day, self.carrier, self.flight, self.origin),
            destination: self.dest,
            aircraft: self.tailnum,
            miles: self.distance,
            scheduled_departure: self.sched_dep_time,
            scheduled_arrival: self.sched_arr_time,
            departure: self.dep_time,
            arrival: self.arr_time,
            air_minutes: self.air_time,
            departure_delay: self.dep_delay,
            arrival_delay: self.arr_delay,
        })
    }
}

/// Tells a bad line from a bad file.
fn refused(error: csv::Error, columns: &csv::StringRecord) -> RowError {
    match error.kind() {
        ErrorKind::Deserialize { err, .. } => {
            let column = err.field().and_then(|field| columns.get(usize::try_from(field).ok()?));
            let reason = match err.kind() {
                DeserializeErrorKind::Message(text) => text.clone(),
                other => other.to_string(),
            };
            // The column is known where a number is wrong; the domain's values say themselves what they are not.
            RowError::Unreadable(column.map_or(reason.clone(), |column| format!("column `{column}`: {reason}")))
        }
        ErrorKind::UnequalLengths { .. } => {
            RowError::Unreadable("another number of columns than the header".to_owned())
        }
        ErrorKind::Utf8 { .. } => RowError::Unreadable("not UTF-8".to_owned()),
        _ => RowError::File(error),
    }
}

fn value<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(from: D) -> Result<T, D::Error> {
    <&str>::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn value_or_na<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(from: D) -> Result<Option<T>, D::Error> {
    match <&str>::deserialize(from)? {
        "NA" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}

fn clock<'de, D: Deserializer<'de>>(from: D) -> Result<ClockTime, D::Error> {
    hhmm(<&str>::deserialize(from)?).map_err(D::Error::custom)
}

fn clock_or_na<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ClockTime>, D::Error> {
    match <&str>::deserialize(from)? {
        "NA" => Ok(None),
        text => hhmm(text).map(Some).map_err(D::Error::custom),
    }
}

/// Reads `517` as 5:17, and `2400` as the midnight that it is.
fn hhmm(text: &str) -> Result<ClockTime, String> {
    let number: u16 = text.parse().map_err(|_| format!("`{text}` is not a time"))?;
    let (hour, minute) = (number / 100, number % 100);
    let in_a_day = minute < 60 && (hour < 24 || number == 2400);
    let time = in_a_day.then(|| ClockTime::new(hour % 24 * 60 + minute).ok()).flatten();
    time.ok_or_else(|| format!("`{text}` is not a time"))
}
