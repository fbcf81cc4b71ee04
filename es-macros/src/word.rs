//! The words of the language and the options that each of them takes.

use std::fmt;

/// An attribute of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    DomainEvent,
    Upcast,
    ValueObject,
    Command,
    Aggregate,
    AggregateImpl,
    Apply,
    CommandHandler,
    Snapshot,
    ReadModel,
    Projection,
    SyncProjection,
    AsyncProjection,
    MonitorProjection,
    Reset,
    Query,
    QueryHandler,
}

impl Word {
    const ATTRIBUTES: [Self; 11] = [
        Self::DomainEvent,
        Self::Upcast,
        Self::ValueObject,
        Self::Command,
        Self::Aggregate,
        Self::CommandHandler,
        Self::ReadModel,
        Self::AsyncProjection,
        Self::SyncProjection,
        Self::Projection,
        Self::Query,
    ];

    /// The options, in the order in which the documentation lists them.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            Self::DomainEvent => &["name", "version", "upcast", "crate"],
            Self::Upcast => &["event", "from", "crate"],
            Self::ValueObject => &["validate", "crate"],
            Self::Command => &["aggregate", "name", "validate", "crate"],
            Self::Aggregate => &["name", "id", "events", "snapshot", "crate"],
            Self::AggregateImpl | Self::QueryHandler => &["crate"],
            Self::Apply | Self::MonitorProjection | Self::Reset => &[],
            Self::CommandHandler => &["retries", "queries", "crate"],
            Self::Snapshot => &["every", "version"],
            Self::ReadModel => &["table", "crate"],
            Self::Projection => &["name", "renamed_from", "version", "partitions", "retry", "on_failure", "crate"],
            Self::SyncProjection => &["priority", "timeout", "key", "of", "delete"],
            Self::AsyncProjection => &["key", "of", "delete", "retry", "on_failure"],
            Self::Query => &["output", "name", "crate"],
        }
    }

    /// The word that has this option instead.
    pub(crate) fn owner_of(self, option: &str) -> Option<Self> {
        if self == Self::AggregateImpl && Self::Aggregate.options().contains(&option) {
            return Some(Self::Aggregate);
        }
        let has = |word: &Self| word.options().contains(&option);
        let owner = self.siblings().iter().copied().find(has).or_else(|| Self::ATTRIBUTES.into_iter().find(has))?;
        let takes_none = matches!(self, Self::Apply | Self::MonitorProjection | Self::Reset);
        (!takes_none && owner != self).then_some(owner)
    }

    /// The words whose options are most likely meant.
    pub(crate) const fn siblings(self) -> &'static [Self] {
        match self {
            Self::SyncProjection => &[Self::AsyncProjection, Self::Projection],
            Self::AsyncProjection => &[Self::SyncProjection, Self::Projection],
            Self::Projection => &[Self::SyncProjection, Self::AsyncProjection, Self::ReadModel],
            Self::AggregateImpl => &[Self::Aggregate],
            Self::ReadModel => &[Self::Projection],
            Self::QueryHandler => &[Self::Query, Self::CommandHandler],
            _ => &[],
        }
    }

    /// What the attribute goes on.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::DomainEvent | Self::Command | Self::Snapshot | Self::ReadModel | Self::Query => "a struct",
            Self::ValueObject | Self::Aggregate | Self::AggregateImpl => "a struct or an inherent impl block",
            Self::Apply => "a function in an `#[aggregate] impl` block",
            Self::Projection => "an inherent impl block",
            Self::SyncProjection | Self::AsyncProjection | Self::MonitorProjection | Self::Reset => {
                "a function in a `#[projection] impl` block"
            }
            Self::Upcast | Self::CommandHandler | Self::QueryHandler => "a function",
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DomainEvent => "#[domain_event]",
            Self::Upcast => "#[upcast]",
            Self::ValueObject => "#[value_object]",
            Self::Command => "#[command]",
            Self::Aggregate | Self::AggregateImpl => "#[aggregate]",
            Self::Apply => "#[apply]",
            Self::CommandHandler => "#[command_handler]",
            Self::Snapshot => "snapshot(..)",
            Self::ReadModel => "#[read_model]",
            Self::Projection => "#[projection]",
            Self::SyncProjection => "#[sync_projection]",
            Self::AsyncProjection => "#[async_projection]",
            Self::MonitorProjection => "#[monitor_projection]",
            Self::Reset => "#[reset]",
            Self::Query => "#[query]",
            Self::QueryHandler => "#[query_handler]",
        })
    }
}
