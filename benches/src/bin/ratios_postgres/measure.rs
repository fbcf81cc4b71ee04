//! What is measured.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use es_benches::Result;
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::turns::Measurable;
use es_benches::ratios::visible::{self, Visible};

use crate::archive::{Archive, Follow};
use crate::idle;
use crate::members::{self, Company};
use crate::read::{Library, Read};
use crate::server::Server;
use crate::write::{self, Load, Way};

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Write(Way, Load),
    Dispatchers(Company),
    Read(Read),
    Follow(Follow),
    /// So many processes run one projection.
    Projectors(usize),
    Visible(Visible),
    /// The one who asks is another application than the one who writes.
    VisibleElsewhere(Visible),
    Idle,
}

/// How large the runtime's groups were, by the number of clients.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<usize, f64>>);

impl Groups {
    /// Takes note of a round of the runtime. Without a count of flushes nothing is known.
    pub(crate) fn saw(&self, clients: usize, sample: &Sample) {
        if let (Some(size), Ok(mut groups)) = (sample.per_flush, self.0.lock()) {
            groups.insert(clients, size);
        }
    }

    /// Gives the size of groups for so many clients; where it is not known, each has one commit in it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is rounded, and at least 1")]
    pub(crate) fn of(&self, clients: usize) -> usize {
        let seen = self.0.lock().ok().and_then(|groups| groups.get(&clients).copied());
        seen.map_or(clients, |size| size.round().max(1.0) as usize)
    }
}

/// What measurements share.
pub(crate) struct Files {
    server: Arc<Server>,
    groups: Groups,
    archive: Option<Archive>,
    library: Option<Library>,
}

impl Files {
    /// Makes what some measurements need.
    pub(crate) async fn of(measures: &[Measure], server: Arc<Server>, quick: bool) -> Result<Self> {
        let reads = measures.iter().any(|measure| matches!(measure, Measure::Read(_)));
        let follows = measures.iter().any(|measure| matches!(measure, Measure::Follow(_) | Measure::Projectors(_)));
        let archive = if reads || follows { Some(Archive::new(&server).await?) } else { None };
        let library = match &archive {
            Some(archive) if reads => Some(Library::new(archive, if quick { 2 } else { 10 }).await?),
            _ => None,
        };
        Ok(Self { server, groups: Groups::default(), archive, library })
    }

    fn archive(&self) -> Result<&Archive> {
        self.archive.as_ref().ok_or_else(|| "there is no archive".into())
    }
}

impl Measurable for Measure {
    type Files = Files;

    /// Measures once, mostly in a schema of its own.
    async fn once(self, files: &Files, _: &Path, env: &Env) -> Result<Sample> {
        let server = &files.server;
        match self {
            Self::Write(way, load) => write::measure(way, load, server, &files.groups, env).await,
            Self::Dispatchers(company) => members::dispatch(company, server, env).await,
            Self::Read(read) => files.library.as_ref().ok_or("there is no library")?.measure(read, env).await,
            Self::Follow(follow) => files.archive()?.measure(follow, env).await,
            Self::Projectors(processes) => members::project(processes, files.archive()?, env).await,
            Self::Visible(when) => {
                let schema = server.fresh();
                let sample = visible::measure(when, schema.store().await?, env).await?;
                schema.drop().await?;
                Ok(sample)
            }
            Self::VisibleElsewhere(when) => {
                let schema = server.fresh();
                let sample = visible::elsewhere(when, schema.store().await?, schema.store().await?, env).await?;
                schema.drop().await?;
                Ok(sample)
            }
            Self::Idle => idle::measure(server).await,
        }
    }

    fn is_steady(self) -> bool {
        self == Self::Idle
    }
}
