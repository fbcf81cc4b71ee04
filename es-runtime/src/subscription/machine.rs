//! What a worker does next, as a pure state machine: without time, store or tasks.
//!
//! The worker asks [`Machine::next`], does it, and tells what came of it. Time comes in as how long the worker runs.
//!
//! A batch that fails is cut: what stands before the failed event is stored first, then the event is tried alone, then batches grow
//! again. So one bad event costs a few commits, and never holds up more than its own sequence key once it is put aside.

use std::time::Duration;

use super::health::StopReason;
use super::plan::{Bound, Items, NoRoom, Parked, Plan};
use crate::projection::FailurePolicy;

/// What bounds a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many events a batch takes at most.
    pub(crate) batch: usize,
    /// How much time is between two batches at the live tail at least.
    pub(crate) interval: Duration,
    /// The same once the version serves: longer where commits fold everything themselves and nobody waits for the worker.
    pub(crate) serving_interval: Duration,
    /// After what time without news the log is read all the same.
    pub(crate) idle: Duration,
    /// The pause before the first repeat; it doubles.
    pub(crate) pause: Duration,
    /// The longest pause.
    pub(crate) longest_pause: Duration,
    pub(crate) bound: Bound,
}

/// What a worker does next.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Load the checkpoint and the keys of the letters.
    Load,
    /// Read the next page.
    Read,
    /// Handle and store a batch.
    Run(Plan),
    /// Wait until a time; for news of the log too, where `news`.
    Wait { until: Duration, news: bool },
    /// End.
    Stop(StopReason),
}

/// Why an event failed, and what its function declares for that.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What becomes a stop's reason.
    pub(crate) reason: StopReason,
    /// What becomes a letter's cause.
    pub(crate) cause: String,
    pub(crate) policy: FailurePolicy,
    /// How often it is tried again; none where it would fail again for certain.
    pub(crate) retries: u32,
}

/// What was decided about an event that fails for good.
#[derive(Clone, Debug)]
enum Verdict {
    Park { cause: String, attempts: u32 },
    Skip,
    Stop(StopReason),
}

/// What became of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What stands before it is stored first.
    Cut,
    /// It is tried again later: for the n-th time.
    Retry(u32),
    /// It is put aside, left out, or the end.
    Decided(FailurePolicy),
}

impl Verdict {
    fn of(failure: &Failure, attempts: u32) -> Self {
        match failure.policy {
            FailurePolicy::Park => Self::Park { cause: failure.cause.clone(), attempts },
            FailurePolicy::Skip => Self::Skip,
            FailurePolicy::Stop => Self::Stop(failure.reason.clone()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Page {
    next: usize,
    count: usize,
    /// Whether more is in the log.
    full: bool,
    /// Whether the page moves the checkpoint.
    moves: bool,
}

/// What a worker asks its store for once it has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switching {
    No,
    /// The version is being built: it is to serve.
    ToServe,
    /// The version serves, and only follows: commits are to fold it again.
    ToFold,
}

/// The decisions of one partition's worker.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one partition")]
pub(crate) struct Machine {
    limits: Limits,
    parked: Parked,
    loaded: bool,
    /// Whether somebody may have taken letters away since they were loaded.
    stale: bool,
    page: Option<Page>,
    /// Whether the last page ended at the head of the log.
    live: bool,
    /// Whether there is nothing to read before there is news.
    idle: bool,
    switching: Switching,
    /// How many events the next batch takes.
    size: usize,
    /// Where the next batch ends: before, or right behind a failed event.
    cut: Option<usize>,
    verdict: Option<(usize, Verdict)>,
    /// The event that is tried again, and how often it was tried.
    trying: Option<(usize, u32)>,
    /// Failures of the store in a row.
    troubles: u32,
    not_before: Duration,
    last_run: Option<Duration>,
    idle_since: Duration,
}

impl Machine {
    const ASK_AGAIN: Duration = Duration::from_millis(100);
    const ASK_TO_FOLD: Duration = Duration::from_secs(1);

    pub(crate) fn new(limits: Limits, switching: Switching) -> Self {
        Self {
            limits,
            parked: Parked::default(),
            loaded: false,
            stale: false,
            page: None,
            live: false,
            idle: false,
            switching,
            size: limits.batch,
            cut: None,
            verdict: None,
            trying: None,
            troubles: 0,
            not_before: Duration::ZERO,
            last_run: None,
            idle_since: Duration::ZERO,
        }
    }

    pub(crate) fn parked(&self) -> &Parked {
        &self.parked
    }

    pub(crate) const fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether a stream is parked whose events' keys are not known.
    pub(crate) fn parks_streams(&self) -> bool {
        // The key of a row is a JSON array, a stream's key never is.
        self.parked.keys.iter().any(|key| !key.starts_with('['))
    }

    pub(crate) fn set_switching(&mut self, switching: Switching) {
        self.switching = switching;
    }

    /// Says what to do at a time. Changes nothing that another call at the same time would not change again.
    pub(crate) fn next(&mut self, now: Duration, items: &impl Items) -> Action {
        if now < self.not_before {
            return Action::Wait { until: self.not_before, news: false };
        }
        if !self.loaded {
            return Action::Load;
        }
        let Some(page) = self.page else { return self.next_read(now) };
        match self.plan(page, items) {
            Ok(plan) => {
                self.last_run = Some(now);
                Action::Run(plan)
            }
            Err(reason) => self.stop(reason),
        }
    }

    /// Stops, but for want of room only after a look at what there really is: letters may be gone by now.
    pub(crate) fn stop(&mut self, reason: StopReason) -> Action {
        if self.stale && matches!(reason, StopReason::LettersFull { .. }) {
            self.reload();
            return Action::Load;
        }
        Action::Stop(reason)
    }

    /// Somebody may have taken letters away.
    pub(crate) fn refresh(&mut self) {
        // The two are read one after the other: the last letter may have gone in between.
        if self.loaded && (!self.parked.keys.is_empty() || self.parked.letters > 0) {
            self.reload();
        }
    }

    fn next_read(&self, now: Duration) -> Action {
        if self.idle {
            // Whoever waits for a switch has to ask again: another partition may have come to the head since.
            let idle = match self.switching {
                Switching::No => self.limits.idle,
                Switching::ToServe => self.limits.idle.min(Self::ASK_AGAIN),
                Switching::ToFold => self.limits.idle.min(Self::ASK_TO_FOLD),
            };
            let until = self.idle_since.saturating_add(idle);
            if now < until {
                return Action::Wait { until, news: true };
            }
        }
        let builds = self.switching == Switching::ToServe;
        let interval = if builds { self.limits.interval } else { self.limits.serving_interval };
        match self.last_run.map(|last| last.saturating_add(interval)) {
            Some(until) if self.live && now < until => Action::Wait { until, news: false },
            _ => Action::Read,
        }
    }

    fn plan(&self, page: Page, items: &impl Items) -> Result<Plan, StopReason> {
        let mut plan = self.begin();
        let end = self.cut.unwrap_or(page.count).min(page.next.saturating_add(self.size)).min(page.count);
        for item in page.next..end {
            match self.admit(&mut plan, item, items) {
                Ok(_) => {}
                // What stands before is stored first.
                Err(_) if item > page.next => break,
                Err(reason) => return Err(reason),
            }
        }
        Ok(plan)
    }

    /// Begins a batch where the last one ended.
    pub(crate) fn begin(&self) -> Plan {
        let mut plan = Plan::new(self.page.map_or(0, |page| page.next));
        plan.switch = self.is_end(plan.range.end);
        plan
    }

    /// Whether a version that waits for a switch is at the head with a batch that ends here.
    fn is_end(&self, end: usize) -> bool {
        self.switching != Switching::No && self.page.is_some_and(|page| !page.full && page.count == end)
    }

    /// Takes the next event into a plan, and says whether it is to be handled.
    ///
    /// # Errors
    ///
    /// The reason for which the subscription stops before this event.
    pub(crate) fn admit(&self, plan: &mut Plan, item: usize, items: &impl Items) -> Result<bool, StopReason> {
        let (parked, bound) = (&self.parked, self.limits.bound);
        let free = match &self.verdict {
            Some((judged, verdict)) if *judged == item => {
                self.carry_out(verdict, plan, item, items)?;
                false
            }
            _ => plan.admit(items, item, parked, bound).map_err(|full| self.full(full))?,
        };
        plan.range.end = item + 1;
        plan.switch = self.is_end(item + 1);
        Ok(free)
    }

    /// Deals with an event of a plan that failed for good and that is not to be tried again: the last one that was admitted.
    ///
    /// # Errors
    ///
    /// The reason for which the subscription stops before this event.
    pub(crate) fn give_up(
        &self,
        plan: &mut Plan,
        item: usize,
        failure: &Failure,
        items: &impl Items,
    ) -> Result<(), StopReason> {
        plan.handled.retain(|handled| *handled != item);
        self.carry_out(&Verdict::of(failure, 1), plan, item, items)
    }

    fn carry_out(&self, verdict: &Verdict, plan: &mut Plan, item: usize, items: &impl Items) -> Result<(), StopReason> {
        match verdict {
            Verdict::Park { cause, attempts } => {
                let why = (cause.clone(), *attempts);
                plan.park(items, item, why, &self.parked, self.limits.bound).map_err(|full| self.full(full))
            }
            Verdict::Skip => {
                plan.skipped += 1;
                Ok(())
            }
            Verdict::Stop(reason) => Err(reason.clone()),
        }
    }

    fn full(&self, _: NoRoom) -> StopReason {
        StopReason::LettersFull { keys: self.parked.keys.len(), letters: self.parked.letters }
    }

    /// There is news of the log.
    pub(crate) fn woken(&mut self) {
        self.idle = false;
    }

    /// The checkpoint and the letters were loaded.
    pub(crate) fn loaded(&mut self, parked: Parked) {
        self.parked = parked;
        (self.loaded, self.stale) = (true, false);
        self.troubles = 0;
    }

    /// A page was read. `moves`: it has events, of any partition. `full`: there may be more.
    pub(crate) fn read(&mut self, count: usize, moves: bool, full: bool, now: Duration) {
        self.troubles = 0;
        self.live = !full;
        if moves || self.switching != Switching::No && !full {
            self.page = Some(Page { next: 0, count, full, moves });
        } else {
            self.rest(now);
        }
    }

    fn rest(&mut self, now: Duration) {
        self.idle = true;
        self.idle_since = now;
    }

    /// A batch was stored.
    pub(crate) fn stored(&mut self, plan: Plan, switched: bool, now: Duration) {
        self.troubles = 0;
        self.stale = true;
        if switched {
            self.switching = Switching::No;
        }
        let end = plan.range.end;
        // Behind a failure batches begin small again.
        self.size = if self.cut == Some(end) { 1 } else { self.size.saturating_mul(2).min(self.limits.batch) };
        self.cut = self.cut.filter(|cut| *cut > end);
        self.verdict = self.verdict.take().filter(|(item, _)| *item >= end);
        self.trying = self.trying.filter(|(item, _)| *item >= end);
        plan.settle_into(&mut self.parked);
        if let Some(page) = &mut self.page {
            page.next = end;
            if end >= page.count {
                let moved = page.moves;
                self.page = None;
                if !moved {
                    self.rest(now);
                }
            }
        }
    }

    /// An event failed, and nothing of its batch is stored; `first`: nothing was handled in the batch before it.
    pub(crate) fn failed(&mut self, item: usize, first: bool, failure: &Failure, now: Duration) -> Outcome {
        let attempts = 1 + self.trying.filter(|(tried, _)| *tried == item).map_or(0, |(_, attempts)| attempts);
        if attempts > failure.retries {
            self.cut = Some(item + 1);
            self.verdict = Some((item, Verdict::of(failure, attempts)));
            return Outcome::Decided(failure.policy);
        }
        if !first {
            self.cut = Some(item);
            return Outcome::Cut;
        }
        self.trying = Some((item, attempts));
        self.cut = Some(item + 1);
        self.not_before = now.saturating_add(self.pause(attempts - 1));
        Outcome::Retry(attempts)
    }

    /// A batch was not stored because of one of its events, and it is not known which one: it is halved. `false`: it has one event only.
    pub(crate) fn narrow(&mut self, plan: &Plan) -> bool {
        let many = plan.handled.len() > 1;
        if many {
            self.size = (plan.range.len() / 2).max(1);
        }
        many
    }

    /// The letters changed, or it is not known whether a batch was stored: everything is loaded and read anew.
    pub(crate) fn reload(&mut self) {
        self.loaded = false;
        self.page = None;
        self.idle = false;
        // Places in a page that is gone.
        (self.cut, self.verdict, self.trying) = (None, None, None);
    }

    /// The store could not be used: the same is done again later. Gives for the how many-th time it failed.
    pub(crate) fn store_failed(&mut self, now: Duration) -> u32 {
        self.not_before = now.saturating_add(self.pause(self.troubles));
        self.troubles = self.troubles.saturating_add(1);
        self.troubles
    }

    fn pause(&self, attempt: u32) -> Duration {
        self.limits.pause.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.limits.longest_pause)
    }
}
