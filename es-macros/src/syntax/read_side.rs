//! The options of read models, projections and queries.

use darling::FromMeta;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Expr, Lit, Meta};

use crate::diagnostics::texts;

use super::options::{CratePath, Flag, Quoted, TypePath, Whole, name_of, refuse, value_of};

/// A time-out: a whole number and `ms` or `s`, in quotes.
#[derive(Clone, Debug)]
pub(crate) struct Duration {
    pub(crate) millis: u64,
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl FromMeta for Duration {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        match value_of(item, "a duration in quotes", "\"2s\"")? {
            Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => match millis(&text.value()) {
                Some(millis) => Ok(Self { millis, text: text.value(), span: text.span() }),
                None => refuse(text, &texts::not_a_duration(&text.value())),
            },
            other => refuse(other, &texts::wrong_value(&name_of(item), "a duration in quotes", "\"2s\"")),
        }
    }
}

/// Reads `500ms` and `2s`: one way to write each, without fractions or spaces.
fn millis(text: &str) -> Option<u64> {
    let (digits, factor) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s')?, 1_000),
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole { digits.parse::<u64>().ok()?.checked_mul(factor) } else { None }
}

/// What happens to an event that a function fails on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Park,
    Stop,
    Skip,
}

/// The words for it.
pub(crate) const POLICIES: [&str; 3] = ["park", "stop", "skip"];

impl FromMeta for Policy {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let value = value_of(item, "`park`, `stop` or `skip`", "park")?;
        let word = value.to_token_stream().to_string();
        match word.as_str() {
            "park" => Ok(Self::Park),
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => refuse(value, &texts::unknown_policy(word.trim_matches('"'))),
        }
    }
}

/// A closure that gives the row's key, or the path of a function that does.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) function: TokenStream,
    pub(crate) span: Span,
}

impl FromMeta for Key {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let value = value_of(item, "a closure", "|event| event.branch")?;
        let span = item.path().segments.first().map_or_else(Span::call_site, |segment| segment.ident.span());
        match value {
            Expr::Closure(closure) if closure.asyncness.is_some() => refuse(&closure.asyncness, &texts::key_is_pure()),
            Expr::Closure(closure) if closure.inputs.len() != 1 => refuse(closure, &texts::key_takes_the_event()),
            Expr::Closure(_) | Expr::Path(_) => Ok(Self { function: value.to_token_stream(), span }),
            other => {
                refuse(other, &texts::wrong_value("key", "a closure that takes the event", "|event| event.branch"))
            }
        }
    }
}

/// Options of `#[read_model]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct ReadModelOptions {
    pub(crate) table: Option<Quoted>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[projection]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct ProjectionOptions {
    pub(crate) name: Option<Quoted>,
    pub(crate) renamed_from: Option<Quoted>,
    pub(crate) version: Option<Whole>,
    pub(crate) partitions: Option<Whole>,
    pub(crate) retry: Option<Whole>,
    pub(crate) on_failure: Option<Policy>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[sync_projection]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct SyncOptions {
    pub(crate) priority: Option<Whole>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) key: Option<Key>,
    pub(crate) of: Option<TypePath>,
    pub(crate) delete: Flag,
}

/// Options of `#[async_projection]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct AsyncOptions {
    pub(crate) key: Option<Key>,
    pub(crate) of: Option<TypePath>,
    pub(crate) delete: Flag,
    pub(crate) retry: Option<Whole>,
    pub(crate) on_failure: Option<Policy>,
}

/// Options of `#[monitor_projection]` and `#[reset]`: none.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct NoOptions {}

/// Options of `#[query]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct QueryOptions {
    pub(crate) output: Option<TypePath>,
    pub(crate) name: Option<Quoted>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[query_handler]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct QueryHandlerOptions {
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}
