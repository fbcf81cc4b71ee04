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
}

impl Word {
    const ATTRIBUTES: [Self; 6] =
        [Self::DomainEvent, Self::Upcast, Self::ValueObject, Self::Command, Self::Aggregate, Self::CommandHandler];

    /// The options, in the order in which the documentation lists them.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            Self::DomainEvent => &["name", "version", "upcast", "crate"],
            Self::Upcast => &["event", "from", "crate"],
            Self::ValueObject => &["validate", "crate"],
            Self::Command => &["aggregate", "name", "validate", "crate"],
            Self::Aggregate => &["name", "id", "events", "snapshot", "crate"],
            Self::AggregateImpl => &["crate"],
            Self::Apply => &[],
            Self::CommandHandler => &["retries", "queries", "crate"],
            Self::Snapshot => &["every", "version"],
        }
    }

    /// The word that has this option instead.
    pub(crate) fn owner_of(self, option: &str) -> Option<Self> {
        if self == Self::AggregateImpl && Self::Aggregate.options().contains(&option) {
            return Some(Self::Aggregate);
        }
        let owner = Self::ATTRIBUTES.into_iter().find(|word| word.options().contains(&option))?;
        (self != Self::Apply && owner != self).then_some(owner)
    }

    /// What the attribute goes on.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::DomainEvent | Self::Command | Self::Snapshot => "a struct",
            Self::ValueObject | Self::Aggregate | Self::AggregateImpl => "a struct or an inherent impl block",
            Self::Apply => "a function in an `#[aggregate] impl` block",
            Self::Upcast | Self::CommandHandler => "a function",
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
        })
    }
}
