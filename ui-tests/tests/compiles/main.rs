//! Domains that must compile: one module each, so that all are linked once.
#![allow(dead_code, reason = "what is declared is never run")]
#![allow(clippy::needless_arbitrary_self_type, reason = "a form that must compile, too")]

mod attributes_with_paths;
mod cfg_everywhere;
mod connected_projections;
mod domains_of_domains;
mod either_handlers;
mod events_from_elsewhere;
mod inside_a_function;
mod names_that_shadow_the_prelude;
mod private_visibility;
mod raw_identifiers;
mod shapes_of_handlers;
mod shapes_of_projections;
mod shapes_of_queries;
mod what_is_stored;
