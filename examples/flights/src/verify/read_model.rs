//! What the rows of the file amount to, against the read models.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::NaiveDate;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use super::{Agreement, Verification};
use crate::id::FlightId;
use crate::read_model::{Board, FlightStatus, Leg, Rotation, Status};
use crate::rows::Row;
use crate::value::{Airport, TailNumber};
use crate::{Error, Flights};

/// Rows that are read at once.
const PAGE: usize = 2_000;

/// What the read models must hold, counted from the file alone: not one function of the projections is used.
#[derive(Default)]
pub(super) struct Expected {
    boards: HashMap<(Airport, NaiveDate), Numbers>,
    rotations: HashMap<(TailNumber, NaiveDate), (Vec<Leg>, u32)>,
    statuses: HashMap<FlightId, (Status, Option<i16>)>,
}

/// The numbers of a board.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Numbers {
    scheduled: u32,
    cancelled: u32,
    departed: u32,
    on_time: u32,
    delayed: u32,
    delay_minutes: i64,
}

impl Expected {
    pub(super) fn add(&mut self, row: &Row) {
        let (flight, day) = (row.flight.clone(), *row.flight.day());
        let board = self.boards.entry((flight.origin().clone(), day)).or_default();
        board.scheduled += 1;
        match row.departure_delay {
            None => board.cancelled += 1,
            Some(late) => {
                board.departed += 1;
                *(if late < 15 { &mut board.on_time } else { &mut board.delayed }) += 1;
                board.delay_minutes += i64::from(late.max(0));
            }
        }
        let status = match (row.departure_delay, row.arrival_delay) {
            (None, _) => (Status::Cancelled, None),
            (departed, None) => (Status::Departed, departed),
            (_, arrived) => (Status::Arrived, arrived),
        };
        self.statuses.insert(flight.clone(), status);
        if let Some(aircraft) = row.aircraft.clone() {
            let (legs, miles) = self.rotations.entry((aircraft, day)).or_default();
            legs.push(Leg { departure: row.scheduled_departure, flight, destination: row.destination.clone() });
            *miles += u32::from(row.miles);
        }
    }

    /// Compares every row of every read model.
    pub(super) async fn compare<S: Store>(
        mut self,
        app: &App<Flights, S>,
        found: &mut Verification,
    ) -> Result<(), Error> {
        for (legs, _) in self.rotations.values_mut() {
            legs.sort_by_key(|leg| (leg.departure.minutes(), leg.flight.clone()));
        }
        // Flights of another import have rows too; they are none of this file's.
        let alone = found.others == 0;
        let minutes = |numbers: &Numbers| numbers.delay_minutes.unsigned_abs();
        let boards = app.table::<Board>();
        (found.boards, found.board_minutes) = against(self.boards, &boards, numbers, minutes, alone).await?;
        let legs = |(legs, _): &(Vec<Leg>, u32)| legs.len() as u64;
        let rotations = app.table::<Rotation>();
        let rotation = |row: &Rotation| (row.legs.clone(), row.miles);
        (found.rotations, found.legs) = against(self.rotations, &rotations, rotation, legs, alone).await?;
        let statuses = app.table::<FlightStatus>();
        let status = |row: &FlightStatus| (row.status, row.late);
        (found.statuses, _) = against(self.statuses, &statuses, status, |_| 1, alone).await?;
        Ok(())
    }
}

const fn numbers(row: &Board) -> Numbers {
    let &Board { scheduled, cancelled, departed, on_time, delayed, delay_minutes, .. } = row;
    Numbers { scheduled, cancelled, departed, on_time, delayed, delay_minutes }
}

/// Compares a table with what is expected, row by row. Gives how many rows agree, and the sums of a number over them.
async fn against<R: ReadModel, T: PartialEq + Send>(
    mut expected: HashMap<R::Key, T>,
    table: &Table<R>,
    content: impl Fn(&R) -> T + Send,
    number: impl Fn(&T) -> u64 + Send,
    alone: bool,
) -> Result<(Agreement, Agreement), Error>
where
    R::Key: Hash + Eq,
{
    let (mut rows, mut sums) = (Agreement::default(), Agreement::default());
    let mut page = table.query().page(PAGE).await?;
    loop {
        for row in &page.rows {
            let (wanted, row) = (expected.remove(&row.key()), content(row));
            if wanted.is_none() && !alone {
                continue;
            }
            let agreed = wanted.as_ref() == Some(&row);
            rows.count(wanted.is_some(), true, agreed);
            sums.recorded += wanted.as_ref().map_or(0, &number);
            sums.found += number(&row);
            sums.agreed += if agreed { number(&row) } else { 0 };
        }
        let Some(next) = page.next else { break };
        page = table.query().after(next).page(PAGE).await?;
    }
    for missing in expected.values() {
        rows.count(true, false, false);
        sums.recorded += number(missing);
    }
    Ok((rows, sums))
}
