//! The goals.

use es_benches::ratios::goal::{Aim, Goal, alone, goal};
use es_benches::ratios::visible::Visible as V;

use crate::archive::Follow as F;
use crate::hand::Hand as H;
use crate::measure::Measure::{self, Dispatchers, Follow, Idle, Projectors, Read, Visible, VisibleElsewhere, Write};
use crate::members::Company;
use crate::read::Read as R;
use crate::write::{Load, Way};

const MANY: Load = Load { clients: 64, accounts: 1_000 };
const CROWD: Load = Load { clients: 256, accounts: 1_000 };
const ONE: Load = Load { clients: 1, accounts: 1_000 };

const DISPATCH: Measure = Write(Way::Dispatch, MANY);
const APPEND: Measure = Write(Way::Append, MANY);
const BUILD: Measure = Follow(F::Build);

const BY_HAND: &str = "by hand, folds events";
const BY_HAND_STATE: &str = "by hand, keeps state";
const NAIVE: &str = "`BEGIN`, `INSERT`, `COMMIT`";
const ROWS: &str = "rows alone, groups of the same size";
const TOKIO: &str = "tokio-postgres, same groups";
const EACH: &str = "a transaction an event";

const fn company(processes: usize, clients: usize, mixed: bool) -> Measure {
    Dispatchers(Company { processes, clients, mixed })
}

#[rustfmt::skip]
pub(crate) const GOALS: &[Goal<Measure>] = &[
    goal("a", "64 dispatchers, 1,000 aggregates", DISPATCH, BY_HAND, Write(Way::Hand(H::Events), MANY), Aim::ByFlush(6.0, 8.0)),
    goal("a", "64 dispatchers, 1,000 aggregates", DISPATCH, BY_HAND_STATE, Write(Way::Hand(H::State), MANY), Aim::ByFlush(6.0, 8.0)),
    goal("b", "256 dispatchers", Write(Way::Dispatch, CROWD), BY_HAND, Write(Way::Hand(H::Events), CROWD), Aim::Ratio(10.0)),
    goal("c", "64 dispatchers", DISPATCH, ROWS, Write(Way::Rows, MANY), Aim::Ratio(0.6)),
    goal("c", "256 dispatchers", Write(Way::Dispatch, CROWD), ROWS, Write(Way::Rows, CROWD), Aim::Ratio(0.6)),
    goal("d", "catch-up: 100,000 events, 1,000 rows", BUILD, EACH, Follow(F::EachEvent), Aim::Ratio(40.0)),
    goal("e", "1,000,000 events through a subscription", Read(R::Subscription), "plain cursor, `FETCH 1000`", Read(R::Cursor), Aim::Ratio(0.7)),
    alone("f", "queries of an idle process, 3 projections", Idle, Aim::Most(5.0)),
    goal("g", "a busy projection in 2 processes", Projectors(2), "in one", Projectors(1), Aim::Ratio(1.6)),
    goal("g5", "one caller of the store", Write(Way::Append, ONE), "one `INSERT`", Write(Way::Hand(H::Autocommit), ONE), Aim::Ratio(1.0 / 1.1)),
    goal("g5", "one dispatcher", Write(Way::Dispatch, ONE), "one `INSERT`", Write(Way::Hand(H::Autocommit), ONE), Aim::None),
    goal("g5", "one dispatcher", Write(Way::Dispatch, ONE), BY_HAND, Write(Way::Hand(H::Events), ONE), Aim::None),
    goal("g6", "64 callers of the store", APPEND, NAIVE, Write(Way::Hand(H::Insert), MANY), Aim::Ratio(3.5)),
    goal("g6", "64 callers of the store", APPEND, NAIVE, Write(Way::Hand(H::Insert), MANY), Aim::Cpu(0.2)),
    goal("g6", "64 callers of the store", APPEND, "a lock for each", Write(Way::Hand(H::Lock), MANY), Aim::Ratio(30.0)),
    goal("g6", "64 callers of the store", APPEND, "a notification in each", Write(Way::Hand(H::Notify), MANY), Aim::Ratio(30.0)),
    goal("g6", "64 callers of the store", APPEND, TOKIO, Write(Way::TokioGroup, MANY), Aim::Ratio(0.95)),
    goal("g6", "256 callers of the store", Write(Way::Append, CROWD), NAIVE, Write(Way::Hand(H::Insert), CROWD), Aim::Ratio(6.0)),
    goal("g6", "256 callers of the store", Write(Way::Append, CROWD), TOKIO, Write(Way::TokioGroup, CROWD), Aim::None),
    goal("g7", "64 dispatchers in 4 processes", company(4, 64, false), "in one", company(1, 64, false), Aim::Ratio(0.9)),
    goal("g7", "256 dispatchers in 4 processes", company(4, 256, false), "in one", company(1, 256, false), Aim::Ratio(0.9)),
    goal("g7", "64 in 4 processes, all on all accounts", company(4, 64, true), "in one", company(1, 64, false), Aim::None),
    goal("g8", "scan of the log", Read(R::Scan), "tokio-postgres", Read(R::TokioScan), Aim::Ratio(0.95)),
    goal("g8", "catch-up, reads ahead", BUILD, "1,000 events a transaction, folded, one after the other", Follow(F::Folded), Aim::Ratio(1.25)),
    goal("g9", "catch-up", BUILD, EACH, Follow(F::EachEvent), Aim::ByFlush(150.0, 40.0)),
    goal("g9", "catch-up", BUILD, "1,000 events a transaction, row by row", Follow(F::EachRow), Aim::None),
    goal("h2", "64 dispatchers, a synchronous projection", Write(Way::DispatchKept, MANY), "without it", DISPATCH, Aim::None),
    goal("h2", "one dispatcher, a synchronous projection", Write(Way::DispatchKept, ONE), "without it", Write(Way::Dispatch, ONE), Aim::None),
    goal("h3", "64 dispatchers, a projection behind the log", Write(Way::DispatchBehind, MANY), "without it", DISPATCH, Aim::None),
    goal("h3", "2 applications with 32 dispatchers each", Write(Way::TwoApplications, MANY), "one with 64", DISPATCH, Aim::None),
    alone("h4", "from commit to visible, idle before", Visible(V::Idle), Aim::Lag(20.0)),
    alone("h4", "from commit to visible, one after the other", Visible(V::AtOnce), Aim::Lag(20.0)),
    alone("h4", "… in another application, idle before", VisibleElsewhere(V::Idle), Aim::Lag(50.0)),
    alone("h4", "… in another application, one after the other", VisibleElsewhere(V::AtOnce), Aim::Lag(50.0)),
];
