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
pub mod balance;
pub mod chains;
pub mod checkpoints;
pub mod claim_rules;
pub mod claims;
pub mod durability;
pub mod fixture;
pub mod groups;
pub mod identities;
pub mod leases;
pub mod ledger;
pub mod letters;
pub mod read_side;
pub mod reading;
pub mod registry;
pub mod renames;
pub mod rows;
pub mod shared_rows;
pub mod snapshots;
pub mod sync_projections;

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
            append::what_only_events_bring_is_refused_without_events,
            append::an_id_that_is_used_twice_in_a_commit_is_refused,
            append::keys_are_stored_up_to_their_limit,
            append::times_are_kept_in_whole_microseconds,
            append::a_time_that_no_format_can_write_is_refused,
            append::a_dropped_ticket_does_not_take_the_commit_back,
            append::commits_of_one_caller_are_decided_in_order,
            append::a_closed_store_refuses_commits_and_reads,
            append::closing_finishes_what_was_submitted,
            append::commits_that_race_with_closing_get_a_definite_answer,
            ledger::a_recorded_command_is_found,
            ledger::a_repeated_key_gives_the_first_record,
            ledger::a_repeated_key_with_another_hash_gives_the_first_record,
            ledger::a_key_used_twice_in_one_group_is_recorded_once,
            ledger::look_ups_that_come_together_get_their_own_answers,
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
            claim_rules::rules_without_a_history_are_in_force_at_once,
            claim_rules::programs_with_other_rules_fail_alone,
            claim_rules::rules_that_are_not_registered_are_refused,
            claim_rules::rules_with_a_history_are_not_in_force,
            claim_rules::a_build_refuses_programs_that_do_not_know_the_rules,
            claim_rules::built_keys_are_held,
            claim_rules::keys_with_two_holders_are_listed,
            claim_rules::all_rules_of_a_build_come_into_force_together,
            claim_rules::many_keys_with_two_holders_are_counted,
            claim_rules::a_build_is_resumed_behind_its_last_page,
            claim_rules::a_build_of_other_rules_replaces_the_one_before,
            claim_rules::a_build_ends_behind_the_last_event_that_claims,
            claim_rules::keys_in_force_are_kept_while_others_are_built,
            claim_rules::keys_of_rules_that_are_taken_away_are_freed,
            claim_rules::a_build_can_be_taken_back,
            claim_rules::a_build_names_events_that_its_program_does_not_know,
            claim_rules::a_set_that_is_being_built_takes_no_new_events,
            claim_rules::many_may_register_and_build_at_once,
            chains::several_commits_of_one_stream_share_a_chain,
            chains::a_failure_breaks_its_chain,
            chains::a_broken_chain_is_refused,
            chains::what_was_decided_on_a_history_that_is_over_is_refused,
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
            rows::rows_of_every_column_type_come_back,
            rows::every_value_comes_back_to_the_last_bit,
            rows::a_row_is_replaced_and_deleted,
            rows::rows_answer_each_key_in_order,
            rows::many_rows_are_written_and_read_at_once,
            rows::keys_with_every_kind_of_character_stay_apart,
            rows::every_comparison_selects_what_it_says,
            rows::rows_without_a_value_are_found_and_left_out,
            rows::texts_are_found_by_their_beginning,
            rows::decimals_are_equal_by_their_worth,
            rows::orders_put_rows_without_a_value_first_or_last,
            rows::pages_give_every_row_once,
            rows::rows_of_tenants_are_apart,
            rows::rows_of_versions_are_apart,
            rows::a_table_that_is_not_there_is_gone,
            registry::a_projection_is_registered_once,
            registry::many_may_register_at_once,
            registry::a_changed_table_wants_a_new_version,
            registry::another_number_of_partitions_wants_a_new_version,
            registry::a_table_belongs_to_one_projection,
            registry::a_first_version_is_built_before_it_serves,
            registry::a_later_version_is_built_beside_the_active_one,
            registry::a_switch_is_refused_while_events_are_left,
            registry::a_switch_waits_for_every_partition,
            registry::a_switch_holds_appends_off_while_it_looks,
            registry::retired_versions_are_dropped,
            registry::a_reset_begins_anew,
            registry::what_is_asked_of_an_unknown_version_says_so,
            renames::a_renamed_projection_keeps_what_was_built,
            renames::an_old_name_is_not_built_again,
            renames::a_projection_may_be_renamed_back,
            renames::a_new_version_may_come_with_a_new_name,
            renames::both_names_of_a_projection_are_refused,
            renames::a_renamed_projection_that_does_not_say_so_is_told_how,
            renames::a_rename_that_is_refused_changes_nothing,
            checkpoints::rows_and_checkpoint_move_together,
            checkpoints::a_row_may_come_and_go_within_a_batch,
            checkpoints::an_event_may_change_two_rows,
            checkpoints::events_that_no_function_takes_change_nothing,
            checkpoints::rows_of_a_batch_belong_to_the_tenant_of_the_event,
            checkpoints::a_batch_from_another_position_is_fenced,
            checkpoints::a_batch_of_another_epoch_is_fenced,
            checkpoints::a_batch_of_an_unknown_partition_is_fenced,
            checkpoints::a_batch_of_a_history_that_is_over_is_fenced,
            checkpoints::one_of_many_equal_batches_is_stored,
            checkpoints::a_batch_without_a_target_leaves_the_checkpoint,
            checkpoints::a_failed_function_names_its_event,
            checkpoints::a_function_that_panics_harms_nobody_else,
            checkpoints::a_row_that_cannot_be_stored_names_its_event,
            checkpoints::a_long_batch_is_stored_whole,
            checkpoints::partitions_are_paused_and_resumed,
            checkpoints::a_paused_partition_does_not_move,
            checkpoints::a_rewind_moves_every_partition,
            checkpoints::a_rewind_forward_has_nothing_folded_twice,
            checkpoints::no_checkpoint_stands_ahead_of_the_log,
            checkpoints::versions_of_streams_are_known_at_every_position,
            checkpoints::events_are_read_by_their_positions,
            letters::letters_come_back_in_order,
            letters::letters_of_partitions_and_versions_are_apart,
            letters::a_batch_that_stands_on_a_letter_that_is_gone_is_refused,
            letters::a_settled_letter_is_gone_under_all_its_keys,
            letters::one_letter_is_skipped_at_a_time,
            letters::a_letter_that_was_tried_again_says_so,
            letters::letters_of_a_fenced_batch_are_not_kept,
            letters::an_event_is_put_aside_in_several_partitions,
            letters::many_letters_are_kept,
            letters::the_first_letter_of_some_streams_is_found,
            leases::one_process_gets_everything,
            leases::a_partition_that_is_not_registered_is_not_leased,
            leases::what_is_kept_keeps_its_epoch,
            leases::partitions_are_shared_fairly,
            leases::each_new_owner_has_a_greater_epoch,
            leases::what_was_left_can_be_taken_at_once,
            leases::what_a_dead_process_had_is_taken_over,
            leases::a_process_that_was_late_keeps_what_nobody_took,
            leases::what_a_process_wants_no_more_is_given_up,
            leases::many_that_ask_at_once_never_share_a_partition,
            sync_projections::a_commit_is_there_with_its_rows,
            sync_projections::workers_pass_over_what_commits_have_folded,
            sync_projections::a_failure_behind_what_is_passed_over_names_its_event,
            sync_projections::pending_events_of_the_stream_are_applied_first,
            sync_projections::events_behind_the_last_synchronous_one_are_left_to_the_worker,
            sync_projections::partitions_and_commits_share_the_events_of_a_stream,
            sync_projections::a_failed_projection_fails_the_commit,
            sync_projections::a_projection_that_takes_too_long_fails_the_commit,
            sync_projections::commits_of_a_group_are_projected_alone,
            sync_projections::a_refused_commit_leaves_nothing_for_those_behind_it,
            sync_projections::many_commits_at_once_are_projected_once_each,
            sync_projections::a_commit_far_ahead_of_the_worker_is_refused,
            sync_projections::a_commit_behind_a_letter_is_refused,
            sync_projections::what_was_rewound_is_folded_again_by_the_next_commit,
            sync_projections::what_a_commit_folded_is_not_put_aside,
            sync_projections::tenants_do_not_hold_each_other_up,
            sync_projections::only_the_active_version_is_projected_with_commits,
            sync_projections::several_projections_are_stored_together,
            sync_projections::a_commit_that_is_refused_is_not_projected,
            shared_rows::an_event_that_its_commit_does_not_fold_makes_the_version_follow,
            shared_rows::commits_of_one_group_leave_a_shared_row_to_the_worker_together,
            shared_rows::a_version_that_takes_over_is_folded_from_there_on,
            shared_rows::a_version_with_a_letter_goes_on_following,
            shared_rows::a_version_that_is_rewound_follows,
            shared_rows::a_row_whose_key_is_too_long_fails_its_event_alone,
            shared_rows::commits_with_other_functions_than_are_stored_fold_nothing,
            shared_rows::a_version_is_folded_again_whatever_else_is_appended,
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
