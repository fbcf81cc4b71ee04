//! The PostgreSQL store passes the suite, in a schema of its own. Where its connections end while they are idle, it passes what uses each of its
//! operations.

use es_runtime::store::PostgresStore;

use crate::place::Place as _;
use crate::postgres::{Schema, schema};

async fn open(schema: &Schema) -> PostgresStore {
    schema.open().await
}

es_runtime::store_contract!(schema!(), open);
es_runtime::durable_store_contract!(schema!(), open);

mod whose_idle_connections_end {
    use crate::postgres::idle::Ending;
    use crate::postgres::schema;

    es_runtime::__contract_tests! { Ending::new(schema!()).await, Ending::open;
        append::a_stale_version_is_a_conflict_at_every_version,
        append::one_of_many_concurrent_creations_wins,
        append::commits_on_different_streams_do_not_conflict,
        append::a_confirmation_succeeds_at_the_stored_version_only,
        append::commits_of_one_caller_are_decided_in_order,
        append::closing_finishes_what_was_submitted,
        ledger::a_recorded_command_is_found,
        ledger::a_key_used_twice_in_one_group_is_recorded_once,
        ledger::look_ups_that_come_together_get_their_own_answers,
        ledger::a_command_without_events_is_recorded,
        ledger::old_entries_are_forgotten,
        claims::a_key_moves_within_one_group,
        claims::one_of_many_concurrent_claims_wins,
        chains::other_chains_go_on,
        chains::every_kind_of_failure_breaks_the_chain,
        groups::failures_in_a_group_fail_alone,
        reading::limits_are_kept,
        reading::reading_goes_on_after_a_version,
        reading::head_and_count_follow_the_log,
        snapshots::a_newer_snapshot_replaces_the_older,
        identities::the_first_candidate_wins,
        rows::a_row_is_replaced_and_deleted,
        rows::rows_without_a_value_are_found_and_left_out,
        registry::a_projection_is_registered_once,
        registry::a_switch_waits_for_every_partition,
        registry::retired_versions_are_dropped,
        registry::a_reset_begins_anew,
        checkpoints::rows_and_checkpoint_move_together,
        checkpoints::a_batch_of_another_epoch_is_fenced,
        checkpoints::partitions_are_paused_and_resumed,
        checkpoints::a_rewind_moves_every_partition,
        checkpoints::versions_of_streams_are_known_at_every_position,
        checkpoints::events_are_read_by_their_positions,
        letters::letters_come_back_in_order,
        letters::one_letter_is_skipped_at_a_time,
        leases::what_is_kept_keeps_its_epoch,
        leases::each_new_owner_has_a_greater_epoch,
        leases::what_was_left_can_be_taken_at_once,
        sync_projections::a_commit_is_there_with_its_rows,
        sync_projections::pending_events_of_the_stream_are_applied_first,
        sync_projections::a_failed_projection_fails_the_commit,
        sync_projections::commits_of_a_group_are_projected_alone,
    }
}
