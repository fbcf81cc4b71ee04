//! The read models: what events make of them, and what they answer.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use es_runtime::testing::{TestApp, projected};
use flights::Flights;
use flights::aggregate::Flight;
use flights::command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};
use flights::event::{FlightArrived, FlightCancelled, FlightDelayed, FlightDeparted, FlightScheduled};
use flights::id::FlightId;
use flights::query::{BoardOf, RotationOf, StatusOf, WorstBoards};
use flights::read_model::{Board, FlightStatus, Leg, Rotation, Status};
use flights::value::{ClockTime, Delay};

type Failure = Box<dyn std::error::Error>;

fn flight(id: &str) -> FlightId {
    id.parse().expect("a flight")
}

fn at(time: &str) -> ClockTime {
    time.parse().expect("a time")
}

fn scheduled(departure: &str, aircraft: Option<&str>) -> FlightScheduled {
    FlightScheduled {
        destination: "IAH".parse().expect("an airport"),
        aircraft: aircraft.map(|tail| tail.parse().expect("a tail number")),
        miles: 1400,
        departure: at(departure),
        arrival: at("08:19"),
    }
}

fn departed(time: &str, delay: i16) -> FlightDeparted {
    FlightDeparted { at: at(time), delay: Delay::new(delay) }
}

const MORNING: &str = "2013-01-01-UA-1545-EWR";
const NOON: &str = "2013-01-01-9E-17-EWR";
const ELSEWHERE: &str = "2013-01-01-UA-1545-JFK";
const TOMORROW: &str = "2013-01-02-UA-1545-EWR";

fn board(airport: &str, day: &str) -> Board {
    let (airport, day) = (airport.parse().expect("an airport"), day.parse().expect("a day"));
    Board { airport, day, scheduled: 0, cancelled: 0, departed: 0, on_time: 0, delayed: 0, delay_minutes: 0 }
}

#[test]
fn flights_of_an_airport_and_a_day_meet_on_one_board() {
    let timetable = || scheduled("05:15", None);
    projected::<Board>()
        .given::<Flight>(flight(MORNING), timetable())
        .given::<Flight>(flight(NOON), (timetable(), FlightCancelled))
        .given::<Flight>(flight(ELSEWHERE), (timetable(), departed("05:10", -5)))
        .given::<Flight>(flight(TOMORROW), timetable())
        .given::<Flight>(flight(MORNING), (departed("05:40", 25), FlightDelayed { delay: Delay::new(25) }))
        .then([
            Board {
                scheduled: 2,
                cancelled: 1,
                departed: 1,
                delayed: 1,
                delay_minutes: 25,
                ..board("EWR", "2013-01-01")
            },
            Board { scheduled: 1, departed: 1, on_time: 1, ..board("JFK", "2013-01-01") },
            Board { scheduled: 1, ..board("EWR", "2013-01-02") },
        ]);
}

#[test]
fn a_rotation_has_its_legs_in_the_order_in_which_they_leave() {
    let destination = || "IAH".parse().expect("an airport");
    let leg = |departure, id| Leg { departure: at(departure), flight: flight(id), destination: destination() };
    let (aircraft, day) = ("N14228".parse().expect("a tail number"), "2013-01-01".parse().expect("a day"));
    projected::<Rotation>()
        .given::<Flight>(flight(NOON), scheduled("12:30", Some("N14228")))
        .given::<Flight>(flight(MORNING), (scheduled("05:15", Some("N14228")), departed("05:15", 0)))
        .given::<Flight>(flight(ELSEWHERE), scheduled("09:00", None))
        .then([Rotation { aircraft, day, legs: vec![leg("05:15", MORNING), leg("12:30", NOON)], miles: 2800 }]);
}

#[test]
fn a_gate_shows_how_far_each_flight_has_come() {
    let timetable = || scheduled("05:15", None);
    let row = |id, status, late| {
        let (flight, destination) = (flight(id), "IAH".parse().expect("an airport"));
        FlightStatus { flight, destination, departure: at("05:15"), status, late }
    };
    let arrived = FlightArrived { at: at("08:30"), delay: Delay::new(11), air_minutes: 227 };
    projected::<FlightStatus>()
        .given::<Flight>(flight(MORNING), (timetable(), departed("05:17", 2), arrived))
        .given::<Flight>(flight(NOON), (timetable(), FlightCancelled))
        .given::<Flight>(flight(ELSEWHERE), (timetable(), departed("05:10", -5)))
        .given::<Flight>(flight(TOMORROW), timetable())
        .then([
            row(MORNING, Status::Arrived, Some(11)),
            row(NOON, Status::Cancelled, None),
            row(ELSEWHERE, Status::Departed, Some(-5)),
            row(TOMORROW, Status::Scheduled, None),
        ]);
}

#[test]
fn times_and_statuses_parse_back() {
    for minute in [0, 59, 60, 315, 1439] {
        let time = ClockTime::new(minute).expect("a time");
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    for wrong in ["", "5", "24:00", "05:60", "a:b", "-1:00"] {
        assert!(wrong.parse::<ClockTime>().is_err(), "{wrong}");
    }
    for status in [Status::Scheduled, Status::Cancelled, Status::Departed, Status::Arrived] {
        assert_eq!(status.to_string().parse(), Ok(status));
    }
}

fn schedule(id: &str, departure: &str) -> ScheduleFlight {
    let FlightScheduled { destination, aircraft, miles, departure, arrival } = scheduled(departure, Some("N14228"));
    ScheduleFlight { flight: flight(id), destination, aircraft, miles, departure, arrival }
}

#[tokio::test]
async fn the_gate_shows_at_once_what_a_command_did() -> Result<(), Failure> {
    let app = TestApp::<Flights>::new().await?;
    let status = async || app.query(StatusOf { flight: flight(MORNING) }).await;
    assert_eq!(status().await?, None);
    app.dispatch(schedule(MORNING, "05:15")).await?;
    app.dispatch(RecordDeparture { flight: flight(MORNING), at: at("05:40") }).await?;
    // No `.after(..)`: the projection runs in the command's transaction.
    let shown = status().await?.ok_or("no such flight")?;
    assert_eq!((shown.status, shown.late), (Status::Departed, Some(25)));
    let arrival = RecordArrival { flight: flight(MORNING), at: at("08:19"), air_minutes: Some(200) };
    app.dispatch(arrival).await?;
    assert_eq!(status().await?.map(|shown| (shown.status, shown.late)), Some((Status::Arrived, Some(0))));
    Ok(())
}

#[tokio::test]
async fn the_questions_are_answered_after_a_receipt() -> Result<(), Failure> {
    let app = TestApp::<Flights>::new().await?;
    for (id, departure) in [(NOON, "12:30"), (MORNING, "05:15"), (ELSEWHERE, "06:00"), (TOMORROW, "05:15")] {
        app.dispatch(schedule(id, departure)).await?;
    }
    app.dispatch(CancelFlight { flight: flight(NOON) }).await?;
    let receipt = app.dispatch(RecordDeparture { flight: flight(MORNING), at: at("05:40") }).await?;
    let of = board("EWR", "2013-01-01");
    let newark = BoardOf { airport: of.airport.clone(), day: of.day };
    let newark = app.query(newark).after(&receipt).within_secs(20).await?.ok_or("no board")?;
    assert_eq!(newark, Board { scheduled: 2, cancelled: 1, departed: 1, delayed: 1, delay_minutes: 25, ..of });

    let first = app.query(WorstBoards { rows: 1, after: None }).after(&receipt).within_secs(20).await?;
    assert_eq!(first.rows, [newark]);
    let rest = app.query(WorstBoards { rows: 5, after: first.next }).await?;
    assert_eq!((rest.rows.len(), rest.next), (2, None));

    let rotation = RotationOf { aircraft: "N14228".parse()?, day: "2013-01-01".parse()? };
    let legs = app.query(rotation).after(&receipt).within_secs(20).await?.ok_or("no rotation")?.legs;
    let order: Vec<_> = legs.iter().map(|leg| leg.flight.to_string()).collect();
    assert_eq!(order, [MORNING, ELSEWHERE, NOON]);
    Ok(())
}
