//! The rules of one event.

use std::fmt;

use crate::event::{ClaimKind, ClaimRule};

/// The rules by which an event of an aggregate claims and frees keys, as a program declares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClaims {
    /// The aggregate's name.
    pub aggregate: &'static str,
    /// The event's stored name.
    pub event: &'static str,
    /// The rules, in the order in which they are applied.
    pub rules: &'static [ClaimRule],
}

/// The rules of an event as a store knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct StoredRules {
    pub(in crate::store) aggregate: String,
    pub(in crate::store) event: String,
    /// The rules that an append has to know.
    pub(in crate::store) rules: String,
    /// The rules that are in force: others than `rules` while keys are built.
    pub(in crate::store) built: String,
    /// The head of the log when the build began; `None` while none is in progress.
    pub(in crate::store) begun: Option<u64>,
}

impl StoredRules {
    /// Returns the rules as they are once their keys are built.
    pub(in crate::store) fn in_force(self) -> Self {
        Self { built: self.rules.clone(), begun: None, ..self }
    }

    /// Returns the rules as they were before their build began.
    pub(in crate::store) fn restored(self) -> Self {
        Self { rules: self.built.clone(), begun: None, ..self }
    }
}

/// The rules of an event in the store differ from those of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsDiffer {
    /// The aggregate's name.
    pub aggregate: String,
    /// The event's stored name.
    pub event: String,
    /// What the store knows: a line for each rule, `claim <set> <field>` or `release <set> <field>`; empty if it knows none.
    pub stored: String,
    /// What the program declares, in the same form.
    pub declared: String,
}

impl fmt::Display for ClaimsDiffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aggregate, event, stored, declared } = self;
        let (stored, declared) = (Spoken(stored), Spoken(declared));
        write!(f, "event `{event}` of aggregate `{aggregate}` {stored} in the store, and {declared} in this program")
    }
}

/// Rules in words.
struct Spoken<'a>(&'a str);

impl fmt::Display for Spoken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("claims nothing");
        }
        for (place, line) in self.0.lines().enumerate() {
            let mut words = line.split(' ');
            let [kind, set, field] = [(); 3].map(|()| words.next().unwrap_or_default());
            let kind = if kind == "claim" { "claims" } else { "frees" };
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{kind} `{field}` in the set `{set}`")?;
        }
        Ok(())
    }
}

/// Renders rules as they are stored: those of a set together, in the order in which they are applied. Names of sets and fields contain
/// no spaces.
pub(in crate::store) fn rules_text(rules: &[ClaimRule]) -> String {
    let mut rules: Vec<&ClaimRule> = rules.iter().collect();
    // Sets do not concern each other, so their order is of no account.
    rules.sort_by_key(|rule| rule.set);
    let mut text = String::new();
    for rule in rules {
        let kind = match rule.kind {
            ClaimKind::Claim => "claim",
            ClaimKind::Release => "release",
        };
        let line = if text.is_empty() { "" } else { "\n" };
        text.extend([line, kind, " ", rule.set, " ", rule.field]);
    }
    text
}

/// Returns the sets that rules name.
pub(in crate::store) fn sets(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.split(' ').nth(1))
}

/// Returns the rules that concern a set.
pub(super) fn about<'a>(text: &'a str, set: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(move |line| line.split(' ').nth(1) == Some(set))
}
