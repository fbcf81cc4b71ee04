//! What is measured.

use std::path::Path;

use es_benches::Result;
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::turns::Measurable;
use es_benches::ratios::visible::{self, Visible};
use es_runtime::store::SqliteStore;

use crate::archive::{Archive, Follow};
use crate::memory::{self, Memory};
use crate::read::{Library, Read};
use crate::write::{self, Load, Way};

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Write(Way, Load),
    Read(Read),
    Memory(Memory),
    Follow(Follow),
    Visible(Visible),
}

/// Files that measurements share.
pub(crate) struct Files {
    pub(crate) library: Option<Library>,
    pub(crate) archive: Option<Archive>,
}

impl Files {
    /// Makes those that some measurements need.
    pub(crate) async fn of(measures: &[Measure], folder: &Path) -> Result<Self> {
        let reads = measures.iter().any(|measure| matches!(measure, Measure::Read(_)));
        let follows = measures.iter().any(|measure| matches!(measure, Measure::Follow(_)));
        Ok(Self {
            library: if reads { Some(Library::new(folder).await?) } else { None },
            archive: if follows { Some(Archive::new(folder).await?) } else { None },
        })
    }
}

impl Measurable for Measure {
    type Files = Files;

    /// Measures once, with files in a folder of its own.
    async fn once(self, files: &Files, folder: &Path, env: &Env) -> Result<Sample> {
        let own = tempfile::tempdir_in(folder)?;
        match self {
            Self::Write(way, load) => write::measure(way, load, own.path(), env).await,
            Self::Read(read) => files.library.as_ref().ok_or("there is no library")?.measure(read, env.time).await,
            Self::Memory(what) => memory::measure(what, env.time),
            Self::Follow(follow) => {
                files.archive.as_ref().ok_or("there is no archive")?.measure(follow, own.path(), env).await
            }
            Self::Visible(visible) => {
                visible::measure(visible, SqliteStore::open(own.path().join("bench.db")).await?, env).await
            }
        }
    }
}
