//! Measures everything in turns, in an order that rotates.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::env::Env;
use super::goal::Goal;
use super::sample::Sample;
use crate::Result;

/// Something that can be measured.
pub trait Measurable: Copy + Debug + PartialEq + 'static {
    /// What the measurements share: files, databases.
    type Files;

    /// Measures once.
    fn once(self, files: &Self::Files, folder: &Path, env: &Env) -> impl Future<Output = Result<Sample>>;

    /// Tells whether one round is enough, for what takes long and hardly varies.
    fn is_steady(self) -> bool {
        false
    }
}

/// What was measured, with its rounds.
#[derive(Debug)]
pub struct Results<M> {
    /// The rounds of each.
    pub samples: Vec<(M, Vec<Sample>)>,
    /// The flush at the beginning of each round: a disk is not a constant.
    pub flushes: Vec<Duration>,
    /// The machine's load at the beginning of each round.
    pub loads: Vec<f64>,
}

/// Gives the goals with some names; all of them where there is no name.
///
/// # Errors
///
/// When no goal has such a name.
pub fn wanted<'a, M>(goals: &'a [Goal<M>], only: &[String]) -> Result<Vec<&'a Goal<M>>> {
    if let Some(unknown) = only.iter().find(|name| goals.iter().all(|goal| goal.name != name.as_str())) {
        return Err(format!("there is no goal `{unknown}`").into());
    }
    Ok(goals.iter().filter(|goal| only.is_empty() || only.iter().any(|name| name == goal.name)).collect())
}

/// Gives what has to be measured for some goals, each once.
#[must_use]
pub fn measures<M: Measurable>(goals: &[&Goal<M>], alone: bool) -> Vec<M> {
    let mut measures = Vec::new();
    for goal in goals {
        let theirs = goal.theirs.filter(|_| !alone).map(|(_, theirs)| theirs);
        for measure in [Some(goal.ours), theirs].into_iter().flatten() {
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
    }
    measures
}

/// Measures everything in turns. Each round begins with another one, and goes the other way round.
///
/// # Errors
///
/// When a measurement fails.
pub async fn measure_all<M: Measurable>(
    measures: &[M],
    rounds: usize,
    files: &M::Files,
    env: &Env,
    folder: &Path,
) -> Result<Results<M>> {
    let mut samples: Vec<_> = measures.iter().map(|measure| (*measure, Vec::new())).collect();
    let (mut flushes, mut loads) = (Vec::new(), Vec::new());
    let bar = ProgressBar::new((samples.len() * rounds) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    for round in 0..rounds {
        flushes.push(env.flush.now(folder)?);
        loads.extend(load());
        for place in 0..samples.len() {
            // Every other round backwards, so that each has other neighbours: a disk remembers who used it before.
            let place = if round % 2 == 0 { place } else { samples.len() - 1 - place };
            let at = (place + round) % samples.len();
            let (measure, rounds) = &mut samples[at];
            bar.set_message(format!("{measure:?}"));
            if rounds.is_empty() || !measure.is_steady() {
                rounds.push(measure.once(files, folder, env).await.map_err(|error| format!("{measure:?}: {error}"))?);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(Results { samples, flushes, loads })
}

/// Gives the machine's load over the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
