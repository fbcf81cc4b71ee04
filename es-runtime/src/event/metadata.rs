//! What is stored beside an event: who, why, on whose behalf, in which trace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{CausationId, CommandId, CorrelationId};

/// The metadata of a commit, stored with each of its events, always.
///
/// ```
/// use es_runtime::event::Metadata;
/// let metadata = Metadata::default();
/// assert!(metadata.actor.is_none());
/// assert!(metadata.entries.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The dispatch that made the event.
    #[serde(rename = "cmd", default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
    /// What the dispatch belongs to. Where the caller gives none, it is the command's id.
    #[serde(rename = "cor", default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationId>,
    /// The direct cause, where it is another event or message.
    #[serde(rename = "cau", default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<CausationId>,
    /// Who acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The trace the dispatch was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// Free entries of the caller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<String, String>,
}

/// A W3C trace context: the two headers, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The `traceparent` header.
    pub traceparent: String,
    /// The `tracestate` header; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tracestate: String,
}
