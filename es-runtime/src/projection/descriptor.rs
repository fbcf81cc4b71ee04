//! Projections as data.

use std::time::Duration;

use crate::event::{AnyEvent, Recorded};
use crate::handler::DependencyDescriptor;
use crate::read_model::TableDescriptor;

/// What a projection is.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionDescriptor {
    /// The projection's name: that of its subscription.
    pub name: &'static str,
    /// The name that the projection had before, if it was renamed.
    pub renamed_from: Option<&'static str>,
    /// The version: a new one is built beside the old one.
    pub version: u32,
    /// The Rust type's name.
    pub type_name: &'static str,
    /// How the functions write.
    pub style: ProjectionStyle,
    /// The read model's table; `None` for other styles than [`ProjectionStyle::Folded`].
    pub table: Option<&'static TableDescriptor>,
    /// In how many partitions the projection runs, from 1.
    pub partitions: u32,
    /// Whether a connected projection has a `#[reset]` function.
    pub resets: bool,
    /// Its functions, in the order in which those that take one event run: synchronous ones by priority, then the others, equal ones as they
    /// are written.
    pub handlers: &'static [ProjectionHandler],
}

/// How the functions of a projection write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionStyle {
    /// They change rows, which the runtime loads and stores.
    Folded,
    /// They take a connection of the store.
    Connected,
    /// They take dependencies.
    External,
}

/// One function of a projection.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionHandler {
    /// The function's name.
    pub name: &'static str,
    /// The name of the aggregate whose events it takes: the category of their streams.
    pub category: &'static str,
    /// The stored name of the event it takes.
    pub event: &'static str,
    /// When it runs.
    pub mode: HandlerMode,
    /// Whether the row's key is the stream's; `false` for a `key` of its own.
    pub by_stream: bool,
    /// What else was declared.
    pub options: HandlerOptions,
    /// What it takes from the application.
    pub dependencies: &'static [Option<DependencyDescriptor>],
}

/// When a function of a projection runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerMode {
    /// In the append's transaction.
    Sync {
        /// 1 (first) to 10 (last).
        priority: u8,
        /// How long it may take, in milliseconds: 1 to 5,000.
        timeout_ms: u32,
    },
    /// Behind the log.
    Async,
}

impl HandlerMode {
    /// The time-out of a synchronous function that declares none.
    pub const DEFAULT_TIMEOUT_MS: u32 = 2_000;
    /// The priority of a synchronous function that declares none.
    pub const DEFAULT_PRIORITY: u8 = 5;

    /// Tells whether the function runs in the append's transaction.
    #[must_use]
    pub const fn is_sync(self) -> bool {
        matches!(self, Self::Sync { .. })
    }

    /// Gives the time-out of a synchronous function.
    #[must_use]
    pub const fn timeout(self) -> Option<Duration> {
        match self {
            Self::Sync { timeout_ms, .. } => Some(Duration::from_millis(timeout_ms as u64)),
            Self::Async => None,
        }
    }
}

/// What a function of a projection declares beside its mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerOptions {
    /// `#[monitor_projection]`: its span is at info, and its time is recorded.
    pub monitor: bool,
    /// How often it is tried again before the failure policy decides; `None` for the default.
    pub retries: Option<u32>,
    /// What happens to an event it fails on; `None` for the default.
    pub on_failure: Option<FailurePolicy>,
}

/// What happens to an event that a subscription cannot handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailurePolicy {
    /// The event is put aside, and later ones of its sequence key wait behind it; all other keys go on.
    #[default]
    Park,
    /// The subscription stops, visibly.
    Stop,
    /// The event is left out, with a log line and a count.
    Skip,
}

impl ProjectionDescriptor {
    /// Gives the functions that take an event, in the order in which they run, with their places.
    pub fn handlers_of<'a>(
        &'static self,
        category: &'a str,
        event: &'a str,
    ) -> impl Iterator<Item = (usize, &'static ProjectionHandler)> + 'a {
        let takes = move |handler: &ProjectionHandler| handler.event == event && handler.category == category;
        self.handlers.iter().enumerate().filter(move |(_, handler)| takes(handler))
    }

    /// Tells whether a function takes the event.
    #[must_use]
    pub fn takes(&'static self, event: &Recorded<AnyEvent>) -> bool {
        self.handlers_of(event.stream().category(), &event.event().name).next().is_some()
    }

    /// Tells whether a synchronous function takes the event.
    #[must_use]
    pub fn takes_in_append(&'static self, category: &str, event: &str) -> bool {
        self.handlers_of(category, event).any(|(_, handler)| handler.mode.is_sync())
    }

    /// Tells whether some function is synchronous.
    #[must_use]
    pub fn has_sync(&self) -> bool {
        self.handlers.iter().any(|handler| handler.mode.is_sync())
    }

    /// Tells whether some function is asynchronous.
    #[must_use]
    pub fn has_async(&self) -> bool {
        self.handlers.iter().any(|handler| !handler.mode.is_sync())
    }

    /// Tells whether events of several streams may change one row: by a `key` of its own, on a connection, or because it takes events of several
    /// aggregates, whose ids may be equal.
    #[must_use]
    pub fn shares_rows(&self) -> bool {
        let category = self.handlers.first().map_or("", |handler| handler.category);
        let shares = |handler: &ProjectionHandler| !handler.by_stream || handler.category != category;
        self.style == ProjectionStyle::Connected || self.handlers.iter().any(shares)
    }

    /// Returns the kinds of events that the commits which append them have to fold, sorted, as `<category> <event>`. They are those of a synchronous
    /// projection whose rows are shared by streams; for every other projection the list is empty.
    ///
    /// A commit that leaves such an event to the workers makes the version *follow*: from then on only workers write its rows, in the
    /// order of the log, until they have caught up.
    #[must_use]
    pub fn kinds_of_commits(&self) -> Vec<String> {
        if !self.has_sync() || self.has_async() || !self.shares_rows() {
            return Vec::new();
        }
        let mut kinds: Vec<_> = self.handlers.iter().map(|handler| kind_of(handler.category, handler.event)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Gives the lowest number among the priorities of the synchronous functions.
    #[must_use]
    pub fn first_priority(&self) -> Option<u8> {
        let priorities = self.handlers.iter().filter_map(|handler| match handler.mode {
            HandlerMode::Sync { priority, .. } => Some(priority),
            HandlerMode::Async => None,
        });
        priorities.min()
    }
}

/// Names the kind of an event of a category. Neither name holds a line break.
pub(crate) fn kind_of(category: &str, event: &str) -> String {
    format!("{category} {event}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn handler(category: &'static str, mode: HandlerMode, by_stream: bool) -> ProjectionHandler {
        let options = HandlerOptions { monitor: false, retries: None, on_failure: None };
        ProjectionHandler { name: "paid", category, event: "paid", mode, by_stream, options, dependencies: &[] }
    }

    const SYNC: HandlerMode = HandlerMode::Sync { priority: 5, timeout_ms: 1 };

    fn kinds(style: ProjectionStyle, handlers: &'static [ProjectionHandler]) -> Vec<String> {
        let projection = ProjectionDescriptor {
            name: "totals",
            renamed_from: None,
            version: 1,
            type_name: "Total",
            style,
            table: None,
            partitions: 1,
            resets: false,
            handlers,
        };
        projection.kinds_of_commits()
    }

    #[test]
    fn commits_have_to_fold_what_streams_share() {
        const OF_ONE: [ProjectionHandler; 1] = [handler("order", SYNC, true)];
        const BY_KEY: [ProjectionHandler; 1] = [handler("order", SYNC, false)];
        const MIXED: [ProjectionHandler; 2] =
            [handler("order", SYNC, false), handler("order", HandlerMode::Async, false)];
        // Their ids may be equal, and then both write one row.
        const OF_TWO: [ProjectionHandler; 2] = [handler("payment", SYNC, true), handler("order", SYNC, true)];
        assert_eq!(kinds(ProjectionStyle::Folded, &OF_ONE), Vec::<String>::new());
        assert_eq!(kinds(ProjectionStyle::Connected, &OF_ONE), ["order paid"]);
        assert_eq!(kinds(ProjectionStyle::Folded, &BY_KEY), ["order paid"]);
        assert_eq!(kinds(ProjectionStyle::Folded, &MIXED), Vec::<String>::new());
        assert_eq!(kinds(ProjectionStyle::Folded, &OF_TWO), ["order paid", "payment paid"]);
    }
}
