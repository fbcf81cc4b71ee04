//! `events.lock`: the stored form of a domain's events, frozen in a file that is checked in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::diff;
use crate::app::Domain;

const HEADER: &str = "\
# The stored form of this domain's events, written by `check_events_lock`. Check it in.
# A block never changes once events of it are stored: a new form needs a new version and an upcaster.
";

/// Says how `events.lock` and the program differ.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// An event's stored form changed without a new version.
    #[error(
        "the stored form of event `{name}` version {version} changed (- locked, + program):\n{diff}\
             stored events would no longer be read as they were written: give the event a new version and an upcaster"
    )]
    Changed {
        /// The event's name.
        name: String,
        /// Its version.
        version: u32,
        /// The difference, line by line.
        diff: String,
    },
    /// An event claims or frees other keys; its stored form is the same.
    #[error(
        "the claims of event `{name}` version {version} changed (- locked, + program):\n{diff}\
             stored events are still read. A store that has some of them starts after `App::builder(..).build_claims()`; \
             if that is meant, delete the event's block from the file and run this again"
    )]
    ClaimsChanged {
        /// The event's name.
        name: String,
        /// Its version.
        version: u32,
        /// The difference, line by line.
        diff: String,
    },
    /// An event's version is lower than the locked one.
    #[error("event `{name}` is locked at version {locked}, the program has version {version}: versions only go up")]
    WentBack {
        /// The event's name.
        name: String,
        /// The program's version.
        version: u32,
        /// The newest locked version.
        locked: u32,
    },
    /// An event is in the file, and no aggregate of the domain lists it.
    #[error(
        "event `{name}` is locked, and no aggregate lists it: its stored events could not be read. \
             If none are stored anywhere, delete its block from the file"
    )]
    Gone {
        /// The event's name.
        name: String,
    },
    /// Two aggregates list different events under one name and version.
    #[error("two different events are called `{name}` version {version} (- first, + second):\n{diff}")]
    Ambiguous {
        /// The events' name.
        name: String,
        /// Their version.
        version: u32,
        /// The difference, line by line.
        diff: String,
    },
    /// The file lacks events of the program, in a place where it is not written.
    #[error("`{path}` lacks {missing}: run the test once outside of CI and check the file in")]
    Incomplete {
        /// The file.
        path: String,
        /// The events that are missing.
        missing: String,
    },
    /// A line of the file is not what this program writes.
    #[error(
        "`{path}`, line {line}: expected a comment, a name with a version such as `Opened v1`, or an indented field"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// The file could not be read or written.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
}

/// The blocks of a file or a program: name and version, then the fields.
type Blocks = BTreeMap<(String, u32), String>;

/// Checks that the stored form of a domain's events is what the file says, and adds new events to the file.
///
/// For a test of your crate. Where the environment variable `CI` is set the file is not written; new events fail then.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened { pub owner: String }
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[aggregate(name = "account", id = Uuid, events(Opened))] pub struct Account {}
/// # #[aggregate] impl Account {
/// #     #[apply] fn opened(_: &Opened) -> Self { Self {} }
/// #     #[command_handler] fn open(_: Open) -> Opened { Opened { owner: String::new() } }
/// # }
/// # domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open] }
/// # fn main() {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("events.lock");
/// # es_runtime::testing::update_events_lock::<Bank>(&path).unwrap();
/// es_runtime::testing::check_events_lock::<Bank>(&path);
/// assert!(std::fs::read_to_string(&path).unwrap().contains("Opened v1\n  owner: String"));
/// # }
/// ```
///
/// # Panics
///
/// With a [`LockError`]'s text, which shows the difference.
#[track_caller]
pub fn check_events_lock<D: Domain>(path: impl AsRef<Path>) {
    let checked =
        if std::env::var_os("CI").is_some() { compare::<D>(path.as_ref()) } else { update_events_lock::<D>(path) };
    if let Err(error) = checked {
        panic!("{error}");
    }
}

/// Checks the file as [`check_events_lock`] does, and adds new events to it.
///
/// # Errors
///
/// [`LockError`]; the file is left as it was then.
pub fn update_events_lock<D: Domain>(path: impl AsRef<Path>) -> Result<(), LockError> {
    let path = path.as_ref();
    let (mut locked, program) = both::<D>(path)?;
    let before = locked.len();
    locked.extend(program);
    if locked.len() == before && path.exists() {
        return Ok(());
    }
    std::fs::write(path, render(&locked)).map_err(|error| LockError::Io { path: path.display().to_string(), error })
}

fn compare<D: Domain>(path: &Path) -> Result<(), LockError> {
    let (locked, program) = both::<D>(path)?;
    let missing: Vec<_> = program
        .keys()
        .filter(|block| !locked.contains_key(*block))
        .map(|(name, version)| format!("`{name}` v{version}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(LockError::Incomplete { path: path.display().to_string(), missing: missing.join(", ") })
}

/// Reads both sides and compares what both have.
fn both<D: Domain>(path: &Path) -> Result<(Blocks, Blocks), LockError> {
    let (locked, program) = (read(path)?, blocks::<D>()?);
    for ((name, version), fields) in &program {
        if let Some(was) = locked.get(&(name.clone(), *version))
            && was != fields
        {
            let (name, version, diff) = (name.clone(), *version, diff::lines(was, fields));
            return Err(if without_claims(was) == without_claims(fields) {
                LockError::ClaimsChanged { name, version, diff }
            } else {
                LockError::Changed { name, version, diff }
            });
        }
    }
    for (name, locked) in locked.keys() {
        let newest = program.keys().filter(|(known, _)| known == name).map(|(_, version)| *version).max();
        match newest {
            None => return Err(LockError::Gone { name: name.clone() }),
            Some(version) if version < *locked => {
                return Err(LockError::WentBack { name: name.clone(), version, locked: *locked });
            }
            Some(_) => {}
        }
    }
    Ok((locked, program))
}

/// Returns a block's stored form alone.
fn without_claims(block: &str) -> String {
    let claim = |line: &str| [" (claim \"", " (release \""].iter().filter_map(|claim| line.find(claim)).min();
    let lines = block.lines().map(|line| claim(line).map_or(line, |claim| &line[..claim]));
    lines.collect::<Vec<_>>().join("\n")
}

/// Gives the blocks of a domain and its parts.
fn blocks<D: Domain>() -> Result<Blocks, LockError> {
    let mut blocks = Blocks::new();
    let mut ambiguous = None;
    D::TABLE.walk(&mut |domain| {
        for event in domain.aggregates.iter().flat_map(|aggregate| aggregate.events) {
            let fields = (event.shape)().describe();
            let first = blocks.entry((event.name.to_owned(), event.version)).or_insert_with(|| fields.clone());
            if *first != fields {
                let diff = diff::lines(first, &fields);
                ambiguous = Some(LockError::Ambiguous { name: event.name.to_owned(), version: event.version, diff });
            }
        }
    });
    ambiguous.map_or(Ok(blocks), Err)
}

fn render(blocks: &Blocks) -> String {
    let mut text = HEADER.to_owned();
    for ((name, version), fields) in blocks {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n{name} v{version}\n{fields}");
    }
    text
}

fn read(path: &Path) -> Result<Blocks, LockError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Blocks::new()),
        Err(error) => return Err(LockError::Io { path: path.display().to_string(), error }),
    };
    let mut blocks = Blocks::new();
    let mut current: Option<(String, u32)> = None;
    for (index, line) in text.lines().enumerate() {
        let unreadable = || LockError::Unreadable { path: path.display().to_string(), line: index + 1 };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with("  ") {
            let block = current.as_ref().and_then(|key| blocks.get_mut(key)).ok_or_else(unreadable)?;
            block.push_str(line);
            block.push('\n');
            continue;
        }
        let (name, version) = line.rsplit_once(" v").ok_or_else(unreadable)?;
        let key = (name.to_owned(), version.parse().map_err(|_| unreadable())?);
        blocks.insert(key.clone(), String::new());
        current = Some(key);
    }
    Ok(blocks)
}
