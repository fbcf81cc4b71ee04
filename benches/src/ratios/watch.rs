//! Measures a stretch of work: time, flushes, processors.

use std::time::Instant;

use super::env::{Env, Processors};
use super::sample::{Sample, float};
use crate::Result;

/// Measures a stretch of work.
#[derive(Debug)]
pub struct Watch {
    begun: Instant,
    flushes: Option<u64>,
    processors: Option<Processors>,
}

impl Watch {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When flushes are to be counted and cannot be.
    pub fn start(env: &Env) -> Result<Self> {
        let processors = env.processors();
        Ok(Self { flushes: env.flush.count()?, processors, begun: Instant::now() })
    }

    /// Gives what was seen since, for so many events.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn stop(self, events: u64, env: &Env) -> Result<Sample> {
        self.stop_with(events, 0, env)
    }

    /// As [`stop`](Self::stop); other processes took so many hundredths of a second beside.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn stop_with(self, events: u64, others: u64, env: &Env) -> Result<Sample> {
        let mut sample = Sample::of(events, self.begun.elapsed());
        let flushes = env.flush.count()?.zip(self.flushes).map(|(after, before)| after.saturating_sub(before));
        sample.per_flush = flushes.filter(|flushes| *flushes > 0).map(|flushes| float(events) / float(flushes));
        let Some((after, before)) = env.processors().zip(self.processors) else { return Ok(sample) };
        let per_event = |hundredths: u64| float(hundredths) * 10_000.0 / float(events.max(1));
        let own = after.own.saturating_sub(before.own) + others;
        let server = after.server.zip(before.server).map(|(after, before)| after.saturating_sub(before));
        sample.cpu = Some(per_event(own + server.unwrap_or_default()));
        sample.server_cpu = server.map(per_event);
        Ok(sample)
    }
}
