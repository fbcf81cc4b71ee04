//! The suite that every store passes.
//!
//! Each check is a public async function that takes a fresh store and panics where the store breaks its contract. Run them all
//! with [`store_contract!`](crate::store_contract), which makes one test of each; a store that survives its process runs
//! [`durable_store_contract!`](crate::durable_store_contract) too.
//!
//! ```
//! # async fn open() -> es_runtime::store::SqliteStore { es_runtime::store::SqliteStore::in_memory().await.unwrap() }
//! mod my_store {
//!     es_runtime::store_contract!(super::open().await);
//! }
//! # fn main() {}
//! ```

// The checks are assertions: they panic where a store is wrong.
#![allow(clippy::missing_panics_doc, reason = "every check panics where the store breaks its contract")]
#![allow(clippy::wildcard_imports, reason = "every module of checks uses the fixture")]
#![expect(clippy::expect_used, clippy::panic, reason = "the checks are assertions")]

pub mod append;
pub mod chains;
pub mod claims;
pub mod durability;
pub mod fixture;
pub mod groups;
pub mod identities;
pub mod ledger;
pub mod reading;
pub mod snapshots;

/// Makes a test of every check, for a store that the given expression opens: fresh and empty each time it is evaluated.
///
/// Two expressions, where the store needs a place that outlives it: the first makes the place, the second is an async function
/// that opens a store there, given a reference to it.
///
/// The expressions stand in an async function. The crate that uses it depends on tokio with its macros.
#[macro_export]
macro_rules! store_contract {
    ($open:expr) => {
        $crate::store_contract!((), async |(): &()| { $open });
    };
    ($place:expr, $open:expr) => {
        $crate::__contract_tests! { $place, $open;
            append::the_first_event_of_a_stream_has_version_one,
            append::events_of_one_commit_have_consecutive_versions_and_positions,
            append::a_stale_version_is_a_conflict_at_every_version,
            append::a_version_ahead_of_the_stream_is_a_conflict,
            append::a_conflict_stores_nothing_of_a_commit_with_several_events,
            append::one_of_many_concurrent_creations_wins,
            append::concurrent_appends_to_one_stream_make_contiguous_versions,
            append::commits_on_different_streams_do_not_conflict,
            append::everything_of_an_event_comes_back,
            append::empty_and_binary_bodies_come_back,
            append::large_bodies_come_back,
            append::names_with_every_kind_of_character_stay_apart,
            append::tenants_are_separate,
            append::an_unreachable_expected_version_is_a_conflict,
            append::a_confirmation_succeeds_at_the_stored_version_only,
            append::a_confirmation_stores_nothing,
            append::a_dropped_ticket_does_not_take_the_commit_back,
            append::commits_of_one_caller_are_decided_in_order,
            append::a_closed_store_refuses_commits_and_reads,
            append::closing_finishes_what_was_submitted,
            append::commits_that_race_with_closing_get_a_definite_answer,
            ledger::a_recorded_command_is_found,
            ledger::a_repeated_key_gives_the_first_record,
            ledger::a_repeated_key_with_another_hash_gives_the_first_record,
            ledger::a_key_used_twice_in_one_group_is_recorded_once,
            ledger::a_repeated_key_wins_over_a_stale_version,
            ledger::a_failed_commit_records_nothing,
            ledger::a_command_without_events_is_recorded,
            ledger::a_command_without_events_on_an_absent_stream_is_recorded,
            ledger::a_command_without_events_is_recorded_at_the_stored_version_only,
            ledger::keys_are_separate_by_tenant,
            ledger::old_entries_are_forgotten,
            claims::a_taken_key_is_refused_and_nothing_is_stored,
            claims::the_holder_may_claim_again,
            claims::a_freed_key_can_be_claimed,
            claims::a_key_is_freed_by_its_holder_only,
            claims::a_key_moves_within_one_group,
            claims::a_commit_may_exchange_its_key,
            claims::a_commit_whose_second_claim_fails_keeps_none,
            claims::a_refused_commit_claims_nothing,
            claims::one_of_many_concurrent_claims_wins,
            claims::keys_are_separate_by_set_and_tenant,
            chains::several_commits_of_one_stream_share_a_chain,
            chains::a_failure_breaks_its_chain,
            chains::a_broken_chain_is_refused,
            chains::other_chains_go_on,
            chains::every_kind_of_failure_breaks_the_chain,
            groups::failures_in_a_group_fail_alone,
            groups::many_commits_at_once_are_all_answered,
            groups::more_than_any_group_takes_is_stored,
            reading::positions_ascend_and_agree_with_every_stream,
            reading::limits_are_kept,
            reading::reading_goes_on_after_a_version,
            reading::an_absent_stream_is_empty,
            reading::the_end_of_the_log_is_an_empty_page,
            reading::pages_larger_than_any_row_are_whole,
            reading::a_follower_misses_nothing_while_others_write,
            reading::watchers_wake_up,
            reading::head_and_count_follow_the_log,
            reading::metadata_comes_back_per_commit,
            snapshots::a_snapshot_is_stored_with_its_commit,
            snapshots::a_newer_snapshot_replaces_the_older,
            snapshots::another_fingerprint_gives_nothing,
            snapshots::a_failed_commit_stores_no_snapshot,
            identities::the_first_candidate_wins,
            identities::all_callers_get_the_same_key,
            identities::ids_are_separate_by_tenant_category_and_source,
        }
    };
}

/// Makes a test of every check on what survives: the first expression makes a place, the second opens a store there, given a
/// reference to it.
#[macro_export]
macro_rules! durable_store_contract {
    ($place:expr, $open:expr) => {
        $crate::__durable_contract_tests! { $place, $open;
            durability::everything_survives_closing_and_opening,
            durability::versions_and_keys_hold_after_opening,
            durability::two_stores_on_one_place_see_each_other,
            durability::two_stores_on_one_place_never_lose_an_event,
            durability::a_follower_of_one_store_sees_what_another_writes,
            durability::confirmations_see_what_another_store_wrote,
            durability::claims_and_keys_of_another_store_hold,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_tests {
    ($place:expr, $open:expr; $($module:ident :: $check:ident,)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                let place = $place;
                let open = $open;
                let store = open(&place).await;
                $crate::testing::contract::$module::$check(store).await;
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __durable_contract_tests {
    ($place:expr, $open:expr; $($module:ident :: $check:ident,)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                let place = $place;
                let open = $open;
                $crate::testing::contract::$module::$check(async || open(&place).await).await;
            }
        )*
    };
}
