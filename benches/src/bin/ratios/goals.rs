//! The goals.

use es_benches::ratios::goal::{Aim, Goal, alone, goal};
use es_benches::ratios::visible::Visible as V;

use crate::archive::Follow as F;
use crate::measure::Measure::{self, Follow, Memory, Read, Visible, Write};
use crate::memory::Memory as M;
use crate::read::Read as R;
use crate::write::{Load, Way};

const MANY: Load = Load { clients: 64, accounts: 1_000, durable: true };
const CROWD: Load = Load { clients: 256, accounts: 1_000, durable: true };
const HOT: Load = Load { clients: 16, accounts: 1, durable: true };
const ONE: Load = Load { clients: 1, accounts: 1_000, durable: true };
const NORMAL: Load = Load { clients: 64, accounts: 1_000, durable: false };

const BY_HAND: &str = "by hand, folds events";
const BY_HAND_STATE: &str = "by hand, keeps state";
const GROUP: &str = "rusqlite, group commit";

#[rustfmt::skip]
pub(crate) const GOALS: &[Goal<Measure>] = &[
    goal("a", "64 dispatchers, 1,000 aggregates", Write(Way::Dispatch, MANY), BY_HAND, Write(Way::HandEvents, MANY), Aim::ByFlush(25.0, 8.0)),
    goal("a", "64 dispatchers, 1,000 aggregates", Write(Way::Dispatch, MANY), BY_HAND_STATE, Write(Way::HandState, MANY), Aim::ByFlush(25.0, 8.0)),
    goal("b", "64 dispatchers, 1,000 aggregates", Write(Way::Dispatch, MANY), "rows alone, groups of 64", Write(Way::Rows, MANY), Aim::Ratio(0.7)),
    goal("c", "16 dispatchers, one aggregate", Write(Way::Dispatch, HOT), BY_HAND, Write(Way::HandEvents, HOT), Aim::Ratio(5.0)),
    goal("c", "16 dispatchers, one aggregate", Write(Way::Dispatch, HOT), BY_HAND_STATE, Write(Way::HandState, HOT), Aim::Ratio(5.0)),
    goal("d", "one dispatcher", Write(Way::Dispatch, ONE), BY_HAND, Write(Way::HandEvents, ONE), Aim::Ratio(1.0)),
    goal("d", "one dispatcher", Write(Way::Dispatch, ONE), BY_HAND_STATE, Write(Way::HandState, ONE), Aim::Ratio(1.0)),
    goal("e", "replay of 10,000 events", Read(R::Load), "SELECT, serde_json, fold", Read(R::Select), Aim::Ratio(0.8)),
    alone("f", "dispatch in memory, one aggregate", Memory(M::Dispatch), Aim::Cost(2_000.0, 10.0)),
    alone("f", "dispatch in memory, 1,000 aggregates", Memory(M::DispatchMany), Aim::None),
    goal("g1", "one dispatcher", Write(Way::Dispatch, ONE), GROUP, Write(Way::RusqliteGroup, ONE), Aim::Ratio(0.93)),
    goal("g1", "one caller of the store", Write(Way::Append, ONE), GROUP, Write(Way::RusqliteGroup, ONE), Aim::Ratio(0.93)),
    goal("g1", "one dispatcher", Write(Way::Dispatch, ONE), "rusqlite in the caller's thread", Write(Way::Rusqlite, ONE), Aim::None),
    goal("g2", "64 dispatchers", Write(Way::Dispatch, MANY), GROUP, Write(Way::RusqliteGroup, MANY), Aim::Ratio(0.8)),
    goal("g2", "64 callers of the store", Write(Way::Append, MANY), GROUP, Write(Way::RusqliteGroup, MANY), Aim::Ratio(0.8)),
    goal("g2", "256 dispatchers", Write(Way::Dispatch, CROWD), BY_HAND, Write(Way::HandEvents, CROWD), Aim::ByFlush(45.0, 8.0)),
    goal("g2", "256 dispatchers", Write(Way::Dispatch, CROWD), GROUP, Write(Way::RusqliteGroup, CROWD), Aim::None),
    goal("g3", "64 dispatchers, NORMAL", Write(Way::Dispatch, NORMAL), GROUP, Write(Way::RusqliteGroup, NORMAL), Aim::Ratio(0.7)),
    goal("g3", "64 callers of the store, NORMAL", Write(Way::Append, NORMAL), GROUP, Write(Way::RusqliteGroup, NORMAL), Aim::Ratio(0.7)),
    goal("g3", "64 dispatchers, NORMAL", Write(Way::Dispatch, NORMAL), BY_HAND, Write(Way::HandEvents, NORMAL), Aim::Ratio(10.0)),
    goal("g4", "scan of the log", Read(R::Scan), "sqlx, fetch_all", Read(R::SelectScan), Aim::Ratio(1.8)),
    goal("g4", "scan of the log", Read(R::Scan), "rusqlite, owned rows", Read(R::RusqliteScan), Aim::Ratio(0.5)),
    goal("g4", "streams of 100 events", Read(R::Stream), "sqlx, fetch_all", Read(R::SelectStream), Aim::Ratio(2.0)),
    alone("g10", "append in memory", Memory(M::Append), Aim::Nanoseconds(500.0)),
    alone("g10", "read in memory", Memory(M::Read), Aim::Nanoseconds(40.0)),
    alone("g10", "fold", Memory(M::Fold), Aim::Nanoseconds(20.0)),
    goal("g10", "decode an event", Memory(M::Decode), "serde_json", Memory(M::Json), Aim::Ratio(1.0 / 1.15)),
    goal("h1", "catch-up: 100,000 events, 1,000 rows", Follow(F::Build), "sqlx, a transaction an event", Follow(F::EachEvent), Aim::ByFlush(250.0, 50.0)),
    goal("h1", "catch-up: 100,000 events, 1,000 rows", Follow(F::Build), "sqlx, 1,000 events a transaction, row by row", Follow(F::EachRow), Aim::Ratio(5.0)),
    goal("h1", "catch-up: 100,000 events, 1,000 rows", Follow(F::Build), "sqlx, 1,000 events a transaction, folded", Follow(F::Folded), Aim::Ratio(1.0)),
    goal("h1", "catch-up: 100,000 events, 1,000 rows", Follow(F::Build), "rusqlite, 1,000 events a transaction, row by row", Follow(F::Rusqlite), Aim::Ratio(0.7)),
    goal("h2", "64 dispatchers, a synchronous projection", Write(Way::DispatchKept, MANY), "without it", Write(Way::Dispatch, MANY), Aim::Ratio(0.625)),
    goal("h2", "one dispatcher, a synchronous projection", Write(Way::DispatchKept, ONE), "without it", Write(Way::Dispatch, ONE), Aim::Ratio(0.625)),
    goal("h3", "64 dispatchers, a projection behind the log", Write(Way::DispatchBehind, MANY), "without it", Write(Way::Dispatch, MANY), Aim::None),
    goal("h3", "one dispatcher, a projection behind the log", Write(Way::DispatchBehind, ONE), "without it", Write(Way::Dispatch, ONE), Aim::None),
    alone("h4", "from commit to visible, idle before", Visible(V::Idle), Aim::Lag(20.0)),
    alone("h4", "from commit to visible, one after the other", Visible(V::AtOnce), Aim::Lag(20.0)),
];
