//! The rules of the domain: given, when, then.
#![allow(clippy::expect_used, reason = "a test says what it needs")]

use es_runtime::testing::{TestApp, check_events_lock, given};
use flights::Flights;
use flights::aggregate::Flight;
use flights::command::{CancelFlight, RecordArrival, RecordDeparture, ScheduleFlight};
use flights::event::{FlightArrived, FlightCancelled, FlightDelayed, FlightDeparted, FlightScheduled};
use flights::handler::FlightError;
use flights::id::FlightId;
use flights::value::{ClockTime, Delay};

fn flight() -> FlightId {
    "2013-01-01-UA-1545-EWR".parse().expect("a flight")
}

fn at(hour: u16, minute: u16) -> ClockTime {
    ClockTime::new(hour * 60 + minute).expect("a time")
}

/// From Newark at 5:15 to Houston at 8:19.
fn schedule() -> ScheduleFlight {
    let (aircraft, destination) = ("N14228".parse().ok(), "IAH".parse().expect("an airport"));
    ScheduleFlight { flight: flight(), destination, aircraft, miles: 1400, departure: at(5, 15), arrival: at(8, 19) }
}

fn scheduled() -> FlightScheduled {
    let ScheduleFlight { destination, aircraft, miles, departure, arrival, .. } = schedule();
    FlightScheduled { destination, aircraft, miles, departure, arrival }
}

fn departed() -> FlightDeparted {
    FlightDeparted { at: at(5, 17), delay: Delay::new(2) }
}

fn departure(at: ClockTime) -> RecordDeparture {
    RecordDeparture { flight: flight(), at }
}

fn arrival(at: ClockTime, air_minutes: impl Into<Option<u16>>) -> RecordArrival {
    RecordArrival { flight: flight(), at, air_minutes: air_minutes.into() }
}

#[test]
fn a_flight_is_scheduled_once() {
    let _ = given::<Flight>(()).when(schedule()).then(scheduled());
    given::<Flight>(scheduled()).when(schedule()).then_already_exists();
}

#[test]
fn a_flight_goes_to_another_airport() {
    let circle = ScheduleFlight { destination: "EWR".parse().expect("an airport"), ..schedule() };
    given::<Flight>(()).when(circle).then_error(&FlightError::ToItsOrigin);
}

#[test]
fn the_delay_of_a_departure_is_decided() {
    let _ = given::<Flight>(scheduled()).when(departure(at(5, 17))).then(departed());
    let early = FlightDeparted { at: at(5, 10), delay: Delay::new(-5) };
    let _ = given::<Flight>(scheduled()).when(departure(at(5, 10))).then(early);
}

#[test]
fn a_quarter_of_an_hour_is_a_delay() {
    let delay = Delay::new(15);
    let late = given::<Flight>(scheduled()).when(departure(at(5, 30)));
    let _ = late.then((FlightDeparted { at: at(5, 30), delay }, FlightDelayed { delay }));
}

#[test]
fn delays_go_past_midnight() {
    assert_eq!(Delay::between(at(23, 50), at(0, 10)), Delay::new(20));
    assert_eq!(Delay::between(at(0, 10), at(23, 50)), Delay::new(-20));
    assert_eq!(Delay::between(at(9, 0), at(7, 0)), Delay::new(-120));
    assert_eq!(Delay::between(at(9, 0), at(6, 59)), Delay::new(22 * 60 - 1));
}

#[test]
fn a_flight_leaves_once() {
    given::<Flight>((scheduled(), departed())).when(departure(at(5, 18))).then_error(&FlightError::HasLeft);
    given::<Flight>(()).when(departure(at(5, 17))).then_not_found();
}

#[test]
fn only_a_flight_at_its_gate_is_cancelled() {
    let cancel = || CancelFlight { flight: flight() };
    let _ = given::<Flight>(scheduled()).when(cancel()).then(FlightCancelled);
    given::<Flight>((scheduled(), FlightCancelled)).when(cancel()).then_error(&FlightError::Cancelled);
    given::<Flight>((scheduled(), departed())).when(cancel()).then_error(&FlightError::HasLeft);
}

#[test]
fn a_cancelled_flight_neither_leaves_nor_arrives() {
    let cancelled = || given::<Flight>((scheduled(), FlightCancelled));
    cancelled().when(departure(at(5, 17))).then_error(&FlightError::Cancelled);
    cancelled().when(arrival(at(8, 30), 227)).then_error(&FlightError::Cancelled);
}

#[test]
fn a_flight_arrives_once_after_it_has_left() {
    let arrived = FlightArrived { at: at(8, 30), delay: Delay::new(11), air_minutes: 227 };
    given::<Flight>(scheduled()).when(arrival(at(8, 30), 227)).then_error(&FlightError::HasNotLeft);
    let _ = given::<Flight>((scheduled(), departed())).when(arrival(at(8, 30), 227)).then(arrived.clone());
    let flown = given::<Flight>((scheduled(), departed(), arrived));
    flown.when(arrival(at(8, 31), 227)).then_error(&FlightError::HasArrived);
}

#[test]
fn an_arrival_has_a_plausible_air_time() {
    let flying = || given::<Flight>((scheduled(), departed()));
    flying().when(arrival(at(8, 30), None)).then_error(&FlightError::NoAirTime);
    flying().when(arrival(at(8, 30), 109)).then_error(&FlightError::Supersonic);
    flying().when(arrival(at(8, 30), 0)).then_error(&FlightError::Supersonic);
    flying().when(arrival(at(16, 30), 227)).then_error(&FlightError::AirTimeDoesNotFit);
}

#[test]
fn ids_parse_back() {
    let id = flight();
    assert_eq!(id.to_string().parse(), Ok(id));
    for wrong in ["", "UA-1545", "2013-02-30-UA-1545-EWR", "2013-01-01-ua-1545-EWR", "2013-01-01-UA-x-EWR"] {
        assert!(wrong.parse::<FlightId>().is_err(), "{wrong}");
    }
}

#[test]
fn what_is_stored_is_frozen() {
    check_events_lock::<Flights>(concat!(env!("CARGO_MANIFEST_DIR"), "/events.lock"));
}

#[tokio::test]
async fn a_flight_comes_from_the_timetable_to_the_gate() -> Result<(), Box<dyn std::error::Error>> {
    let app = TestApp::<Flights>::new().await?;
    app.dispatch(schedule()).idempotency_key("schedule").await?;
    app.dispatch(departure(at(5, 40))).await?;
    let receipt = app.dispatch(arrival(at(8, 59), 227)).await?;
    assert_eq!(receipt.version(), 4, "it left late, so that is an event too");
    assert!(app.dispatch(schedule()).idempotency_key("schedule").await?.replayed());
    assert_eq!(app.history::<Flight>(&flight()).await?.len(), 4);
    Ok(())
}
