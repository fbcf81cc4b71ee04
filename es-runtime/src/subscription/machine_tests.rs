//! The state machine against the pure fold with ordered parking, under random failures of everything.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::health::StopReason;
use super::machine::{Action, Failure, Limits, Machine, Outcome, Switching};
use super::plan::{Bound, Items, Parked, Plan};
use crate::projection::FailurePolicy;

#[derive(Clone, Debug)]
struct Event {
    stream: u8,
    /// None: not known.
    keys: Vec<u8>,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    /// Fails so many times.
    Transient(u32),
    /// Fails always.
    Broken,
    /// Fails always, and is left out.
    Skipped,
}

impl Event {
    fn stream_key(&self) -> String {
        format!("stream/{}", self.stream)
    }
    fn key_texts(&self) -> Vec<String> {
        self.keys.iter().map(|key| format!("[{key}]")).collect()
    }
    fn fails(&self) -> bool {
        self.keys.is_empty() || matches!(self.fate, Fate::Broken | Fate::Skipped)
    }
}

struct Slice<'a>(&'a [Event]);
impl Items for Slice<'_> {
    fn keys(&self, item: usize) -> Vec<String> {
        self.0[item].key_texts()
    }
    fn stream(&self, item: usize) -> String {
        self.0[item].stream_key()
    }
}

/// What a store holds at the end. Events are named by their place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stored {
    position: usize,
    handled: Vec<usize>,
    letters: Vec<(usize, String, bool)>,
}

/// The pure fold: what has to come out.
fn expected(log: &[Event]) -> Stored {
    let mut stored = Stored { position: log.len(), ..Stored::default() };
    let mut parked: HashSet<String> = HashSet::new();
    for (place, event) in log.iter().enumerate() {
        let (mut keys, stream) = (event.key_texts(), event.stream_key());
        if parked.contains(&stream) {
            keys.push(stream.clone());
        }
        let waits = keys.iter().any(|key| parked.contains(key));
        if waits || event.fails() && event.fate != Fate::Skipped {
            if keys.is_empty() {
                keys.push(stream);
            }
            stored.letters.extend(keys.iter().map(|key| (place, key.clone(), !waits)));
            parked.extend(keys);
        } else if !event.fails() {
            stored.handled.push(place);
        }
    }
    stored
}

/// How a worker folds: outside, event by event; or all inside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Outside,
    Inside,
    /// As outside, but what fails later is known only when all is folded.
    Blind,
}

/// What goes wrong at the n-th batch.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    StoreError,
    LettersChanged,
    UncertainStored,
    UncertainLost,
}

struct Run<'a> {
    log: &'a [Event],
    mode: Mode,
    store: Stored,
    tries: Vec<u32>,
    machine: Machine,
    now: Duration,
    /// The page: from this place on.
    page: std::ops::Range<usize>,
}

fn limits(batch: usize) -> Limits {
    Limits {
        batch,
        interval: Duration::from_millis(10),
        serving_interval: Duration::from_millis(10),
        idle: Duration::from_secs(1),
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        bound: Bound { keys: 1_000, letters: 10_000 },
    }
}

fn failure(event: &Event, retries: u32) -> Failure {
    let policy = if event.fate == Fate::Skipped { FailurePolicy::Skip } else { FailurePolicy::Park };
    Failure { reason: StopReason::Dropped, cause: "broken".to_owned(), policy, retries }
}

impl<'a> Run<'a> {
    fn new(log: &'a [Event], mode: Mode, batch: usize) -> Self {
        let tries = vec![0; log.len()];
        let machine = Machine::new(limits(batch), Switching::No);
        Self { log, mode, store: Stored::default(), tries, machine, now: Duration::ZERO, page: 0..0 }
    }

    fn store(&mut self, plan: &Plan) {
        let first = self.page.start;
        assert_eq!(self.store.position, first + plan.range.start, "the compare-and-set of the checkpoint");
        self.store.position = first + plan.range.end;
        self.store.handled.extend(plan.handled.iter().map(|item| first + item));
        let letters =
            plan.letters.iter().map(|letter| (first + letter.item, letter.key.clone(), letter.cause.is_some()));
        self.store.letters.extend(letters);
    }

    fn load(&mut self) {
        let keys = self.store.letters.iter().map(|(_, key, _)| key.clone()).collect();
        self.machine.loaded(Parked { keys, letters: self.store.letters.len() });
    }

    /// Whether the event fails when it is tried now.
    fn try_one(&mut self, place: usize) -> bool {
        self.tries[place] += 1;
        match self.log[place].fate {
            Fate::Transient(times) if !self.log[place].keys.is_empty() => self.tries[place] <= times,
            _ => self.log[place].fails(),
        }
    }

    /// Runs a plan. `None`: the machine was told why nothing came of it.
    fn run(&mut self, plan: Plan, items: &Slice<'_>) -> Option<Plan> {
        let first = self.page.start;
        match self.mode {
            Mode::Inside => {
                for (place, item) in plan.handled.iter().enumerate() {
                    if self.try_one(first + item) {
                        let transient = matches!(self.log[first + item].fate, Fate::Transient(_));
                        let failure = failure(&self.log[first + item], if transient { 3 } else { 0 });
                        let outcome = self.machine.failed(*item, place == 0, &failure, self.now);
                        assert!(place == 0 || !matches!(outcome, Outcome::Retry(_)));
                        return None;
                    }
                }
                Some(plan)
            }
            Mode::Outside => {
                let mut folded = Plan::new(plan.range.start);
                for item in plan.range.clone() {
                    if self.machine.admit(&mut folded, item, items).unwrap() && self.log[first + item].fails() {
                        let failure = failure(&self.log[first + item], 0);
                        self.machine.give_up(&mut folded, item, &failure, items).unwrap();
                    }
                }
                Some(folded)
            }
            Mode::Blind => {
                if !plan.handled.iter().any(|item| self.log[first + item].fails()) {
                    return Some(plan);
                }
                if !self.machine.narrow(&plan) {
                    let item = plan.handled[0];
                    self.machine.failed(item, true, &failure(&self.log[first + item], 0), self.now);
                }
                None
            }
        }
    }

    fn finish(mut self, pages: &[usize], troubles: &[Trouble]) -> Stored {
        let (mut pages, mut troubles) = (pages.iter().cycle(), troubles.iter());
        for _ in 0..20_000 {
            let items = Slice(&self.log[self.page.clone()]);
            match self.machine.next(self.now, &items) {
                Action::Load => self.load(),
                Action::Read => {
                    let start = self.store.position;
                    let end = (start + pages.next().unwrap()).min(self.log.len());
                    self.page = start..end;
                    self.machine.read(end - start, end > start, end < self.log.len(), self.now);
                }
                Action::Wait { news: true, .. } => return self.store,
                Action::Wait { until, .. } => self.now = until,
                Action::Stop(reason) => panic!("{reason}"),
                Action::Run(plan) => {
                    let Some(plan) = self.run(plan, &items) else { continue };
                    match troubles.next().unwrap_or(&Trouble::None) {
                        Trouble::None => {
                            self.store(&plan);
                            self.machine.stored(plan, false, self.now);
                        }
                        Trouble::StoreError => drop(self.machine.store_failed(self.now)),
                        Trouble::LettersChanged | Trouble::UncertainLost => self.machine.reload(),
                        Trouble::UncertainStored => {
                            self.store(&plan);
                            self.machine.reload();
                        }
                    }
                }
            }
        }
        panic!("the worker makes no progress at {}", self.store.position);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop_oneof![
        12 => Just(Fate::Fine),
        2 => (1..4_u32).prop_map(Fate::Transient),
        1 => Just(Fate::Broken),
        1 => Just(Fate::Skipped)
    ];
    let keys = prop_oneof![
        20 => proptest::collection::hash_set(0..12_u8, 1..3),
        1 => Just(HashSet::new()),
    ];
    (0..6_u8, keys, fate).prop_map(|(stream, keys, fate)| {
        let mut keys: Vec<u8> = keys.into_iter().collect();
        keys.sort_unstable();
        Event { stream, keys, fate }
    })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => Just(Trouble::None),
        1 => Just(Trouble::StoreError),
        1 => Just(Trouble::LettersChanged),
        1 => Just(Trouble::UncertainStored),
        1 => Just(Trouble::UncertainLost)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_what_is_stored_is_the_pure_fold_with_ordered_parking(
        log in proptest::collection::vec(event(), 0..80),
        mode in prop_oneof![Just(Mode::Outside), Just(Mode::Inside), Just(Mode::Blind)],
        batch in 1..20_usize,
        pages in proptest::collection::vec(1..30_usize, 1..6),
        troubles in proptest::collection::vec(trouble(), 0..60),
    ) {
        let stored = Run::new(&log, mode, batch).finish(&pages, &troubles);
        prop_assert_eq!(stored, expected(&log));
    }
}

fn fine(key: u8) -> Event {
    Event { stream: key, keys: vec![key], fate: Fate::Fine }
}

fn machine(log: &[Event], limits: Limits) -> Machine {
    let mut machine = Machine::new(limits, Switching::No);
    machine.loaded(Parked::default());
    machine.read(log.len(), true, false, Duration::ZERO);
    machine
}

fn plan_of(action: Action) -> Plan {
    match action {
        Action::Run(plan) => plan,
        other => panic!("{other:?} instead of a batch"),
    }
}

#[test]
fn a_full_line_of_letters_is_looked_at_and_then_stops_before_the_event_that_finds_no_room() {
    let log: Vec<Event> = (0..5).map(|key| Event { fate: Fate::Broken, ..fine(key) }).collect();
    let mut items = Slice(&log);
    let mut machine = machine(&log, Limits { bound: Bound { keys: 2, letters: 10 }, ..limits(10) });
    let (mut stored, mut loads, mut now) = (0, 0, Duration::ZERO);
    let reason = loop {
        match machine.next(now, &items) {
            Action::Run(plan) if plan.handled.is_empty() => {
                stored = plan.range.end;
                machine.stored(plan, false, now);
            }
            Action::Run(plan) => drop(machine.failed(plan.handled[0], true, &failure(&log[0], 0), now)),
            Action::Load => {
                loads += 1;
                machine.loaded(Parked { keys: ["[0]", "[1]"].map(String::from).into_iter().collect(), letters: 2 });
            }
            Action::Read => {
                items = Slice(&log[stored..]);
                machine.read(items.0.len(), true, false, now);
            }
            Action::Stop(reason) => break reason,
            Action::Wait { until, .. } => now = until,
        }
    };
    assert_eq!((stored, loads, reason), (2, 1, StopReason::LettersFull { keys: 2, letters: 2 }));
}

#[test]
fn a_retry_waits_longer_each_time_and_then_the_policy_decides() {
    let log = [fine(1), fine(2)];
    let items = Slice(&log);
    let mut machine = machine(&log, limits(10));
    let broken = failure(&log[0], 3);
    let (mut now, mut waits) = (Duration::ZERO, Vec::new());
    for attempt in 1..=4 {
        let plan = plan_of(machine.next(now, &items));
        let outcome = machine.failed(plan.handled[0], true, &broken, now);
        if attempt == 4 {
            assert_eq!(outcome, Outcome::Decided(FailurePolicy::Park));
            break;
        }
        assert_eq!(outcome, Outcome::Retry(attempt));
        let Action::Wait { until, news: false } = machine.next(now, &items) else { panic!("no pause") };
        waits.push(until.saturating_sub(now).as_millis());
        now = until;
    }
    assert_eq!(waits, [5, 10, 20]);
    let plan = plan_of(machine.next(now, &items));
    assert_eq!((plan.range.clone(), plan.letters.len(), plan.letters[0].attempts), (0..1, 1, 4));
}

#[test]
fn at_the_live_tail_batches_keep_their_distance_and_an_idle_worker_has_none() {
    let log = [fine(1)];
    let items = Slice(&log);
    let mut machine = machine(&log, limits(10));
    let plan = plan_of(machine.next(Duration::from_millis(100), &items));
    machine.stored(plan, false, Duration::from_millis(101));
    let Action::Wait { until, news: false } = machine.next(Duration::from_millis(102), &items) else {
        panic!("no distance")
    };
    assert_eq!(until, Duration::from_millis(110));
    assert!(matches!(machine.next(until, &items), Action::Read));
    machine.read(0, false, false, until);
    assert!(matches!(machine.next(until, &items), Action::Wait { news: true, .. }));
    machine.woken();
    assert!(matches!(machine.next(Duration::from_millis(200), &items), Action::Read));
}

#[test]
fn the_longer_interval_holds_only_while_the_version_serves() {
    let log = [fine(1)];
    let items = Slice(&log);
    for (switching, pause) in [(Switching::ToServe, 10), (Switching::ToFold, 100), (Switching::No, 100)] {
        let serving_interval = Duration::from_millis(100);
        let mut machine = Machine::new(Limits { serving_interval, ..limits(10) }, switching);
        machine.loaded(Parked::default());
        machine.read(1, true, false, Duration::ZERO);
        let plan = plan_of(machine.next(Duration::ZERO, &items));
        machine.stored(plan, false, Duration::ZERO);
        machine.woken();
        let until = Duration::from_millis(pause);
        let Action::Wait { until: found, .. } = machine.next(Duration::ZERO, &items) else { panic!("no pause") };
        assert_eq!(found, until);
        assert!(matches!(machine.next(until, &items), Action::Read));
    }
}

#[test]
fn a_version_that_is_built_asks_for_the_switch_only_at_the_head() {
    let log = [fine(1), fine(2)];
    let items = Slice(&log);
    let mut machine = Machine::new(limits(10), Switching::ToServe);
    machine.loaded(Parked::default());
    machine.read(2, true, true, Duration::ZERO);
    let plan = plan_of(machine.next(Duration::ZERO, &items));
    assert!(!plan.switch, "more is in the log");
    machine.stored(plan, false, Duration::ZERO);
    machine.read(0, false, false, Duration::ZERO);
    let plan = plan_of(machine.next(Duration::from_millis(20), &items));
    assert!(plan.switch, "an empty page is the head");
    machine.stored(plan, true, Duration::from_millis(20));
    machine.read(0, false, false, Duration::from_millis(30));
    assert!(matches!(machine.next(Duration::from_millis(30), &items), Action::Wait { news: true, .. }));
}

/// The last letter may go while the keys are read behind the number of letters.
#[test]
fn letters_whose_keys_are_gone_are_read_again() {
    let mut machine = Machine::new(limits(1), Switching::No);
    machine.loaded(Parked { keys: Parked::default().keys, letters: 1 });
    machine.refresh();
    assert!(matches!(machine.next(Duration::ZERO, &Slice(&[])), Action::Load));
    machine.loaded(Parked::default());
    machine.refresh();
    assert!(!matches!(machine.next(Duration::ZERO, &Slice(&[])), Action::Load));
}
