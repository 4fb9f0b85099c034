"""functions and views, folder by folder: each calls only what stands above it"""

from rowferry.migrations import sqlfile

revision = "core_0003"
down_revision = "core_0002"

# Functions name each other freely, since their bodies are not checked (as_owner.sql). A type, or a view whose rows a function
# takes, stands before that function, and a view stands after what it calls.
TYPES = """
    envelope/_section envelope/_not_taken queue/_rare apply/_need apply/_piece exchange/_answer observe/_cause
    check/_finding
"""
FUNCTIONS_AND_VIEWS = {
    "base": """
        _courier_at_work _courier_lock _database_identity _dumped_by _estimated_rows _find_link _generated_name _id_count
        _in_users_code _index_keys _is_transient _is_outbox _left_nothing _link_key _link_lock _lock_holder _lock_holders
        _merges_here _now _on_node _outbox_problem _patient _refuse_outbox _server_not_tried _server_warning _split_name
        _stops_every_table _unread_wal _users_timeout configure_node node_name require_core set_retention version
    """,
    "entity": """
        _attach_call _base_type _behind _captured_columns _column_digest _column_types _columns_apart _cycle
        _definer_check_sql _end_wait _entity_columns _entity_functions _filter_problem _filter_sql _filtered_sql
        _find_entity _which_entity _find_user_function _find_user_owner _foreign_keys _function_digest
        _generated_functions _guard_forms _inbound_columns _is_followed _keys_sql _kin _known_type _lacking_index
        _local_type _means_sql _merging_function _only_sql _other_columns _parents_first _pinned_sql _plain_settings
        _record_id_sql _refuse_wrong_direction _runs_for_peer _schema_digest _schema_facts _sequences_of _source_sql
        _stagger_problem _table_apart _topic_of _travelling_relation _type_spelled _unaltered _unreadable_entity _users_check_sql
        _users_triggers _with_followers _within_sql _written _written_together is_applying
    """,
    "capture": """
        _as_captured _capture_blocks _capture_one_sql _capture_part_sql _capture_row_sql _capture_sql
        _capture_statement_sql _captured_for_others _captured_together _drop_triggers_sql _guards_sql _lock_table
        _lock_tables _missing_sql _place_sql _refuse_truncate _set_guards _triggers_sql _uncaptured
    """,
    "rows": """
        _aside_columns _begin_deferred _column_parts _cycle_function_sql _delete_children_sql _delete_parts _delete_sql
        _differing_sql _finish _finish_lock _function_sql _in_order_sql _inbound_sql _is_outside _key_join_sql
        _list_keys_sql _merge_sql _missing_parents_sql _off_path_sql _outside_hint _present_row _read_sql _received_sql
        _row_checks _row_literals _rows_of_sql _sequences_sql _update_units _upsert_sql _users_path _wanting_sql
        _write_statements
    """,
    "attach": """
        _attach_notes _attach_sql _attached _change_kin _check_filter _check_outbound _check_rules _check_trigger_names
        _check_user_functions _cycle_problem _cycle_sql _filter_types _forget_link _handler_problem _let_dump
        _not_following _plan_columns _plan_entity _plan_key _plan_within _refresh_sql _refuse_loss
        _refuse_stranger _refuse_table _share_capture _stale_functions attach detach remove_peer set_rules
    """,
    "plan": """
        _plan_call _plan_comment _plan_key_names _plan_lone _plan_order _plan_pairs _possible_columns _possible_keys _refusal
        _try_keys plan plan_facts
    """,
    "envelope": """
        _acked_ids _as_not_taken _by_hops _check_header _decode _effect _encode _not_taken_without _explain_refusal
        _joined _not_taken_count _parent_records _parents_among _record_count _section_part _section_with _split_section
    """,
    "queue": """
        _stamp _queue _advance_first_id _alone _any_skip _any_event _anything_rare _back_off _backlog_bytes _coalesce
        _coalesce_records _rare_things _counts _delete_events _end_skips _event_bytes _events_of_record _give_up_orphans
        _held_of_record _hold_entities _hold_late _hold_refused _hold_slow _hold_waiting _is_deleted _is_free
        _left_waiting _look_for_parents _may_own_events _missing_parent _movable _moved _parents_awaited _parents_came
        _refers_to_deleted _remove_backlog _remove_superseded _retry_dependents _retry_held _sendable_events
        _sendable_records _sent_ids _skip_waiting_runs _skips_answered _skips_overtaken _unseen_changes _waiting_entities
        _with_companions _written_here
    """,
    "conflict": """
        _conflict_count _conflicts_between _conflicts_without _decide _decide_orphan _keep_given_up _lost_in_cascade
        _merge_rows _overwritten _record_conflicts _remove_beaten _weigh_changes _winner _with_rows
    """,
    "apply": """
        _altered_rows _apply_batch _apply_piecewise _as_pieces _decide_sections _delete_wanted _exchanging _find_fault
        _gives_up _hopeless _in_order _judge_failure _leave_altered _leave_locked _look_after_write _mark_applying
        _may_differ _needed _needs_without _needs _note_differing _pass_on _pieces_without _plain_tables _refuse_cascade
        _refuse_record _still_waiting _take_apart _try_sections _understood_sections _untried _why_not_understood
        _with_holders _write_cycle _write_sections
    """,
    "compare": """
        _choosing_call _compare _compare_answer _compare_ask _compare_choose _compare_hear _compare_queue _compare_resolve
        _compare_start _compared _hold_mass_delete _later_there compare compare_all compare_runs first_contact repair differences
        compare_report
    """,
    "build": """
        _build_batch _build_envelope _choose_records _deletes_waiting _due_records _hold_followers _look_at_moved
        _parents_along _perform_skips _queue_backfill _queue_followers _queue_following _read_batch _read_rows
        _read_section _tell_facts _hold_cascading_parents _payload_sql _trip_breakers _unreadable_records _weigh_places
        _write_outbox_section _write_outbox
    """,
    "exchange": """
        _admit _answer_of _check_memory _clock_went_back _cut _cut_others _dry_run _exchange _hear _honour_acks _log_batch
        _meet _new_generation _note_facts _open _progress _prune_logs _save_link _take _at_rest _watch _become_courier
        process_batch
    """,
    "observe": """
        _calls _failed_choices _kept_by _link_status _locks _others_wait _roots _seen_at _session _stuck_link
        _stuck_records _stuck_tables
        _stuck_transactions _waiting _waits_for _wrapped backfill_progress help row_status status sync_events why_stuck
        metrics
    """,
    "check": """
        _check_capture _check_differing _check_entities _check_facts _check_foreign_keys _check_functions _check_outbox
        _check_own _check_peer _check_rights _check_sequences _check_server _check_staggering _check_tables _column_fix
        _column_pairs _note_release _own_objects _take_in_call check drift
    """,
    "operate": """
        _awaiting _fed_by _note_staggered _readmit _skip_deleted _sequences_to_stagger _staggering add_outbox approve backfill
        let_loser_win pause remove_outbox replay resume resync retry set_backlog_limit set_breaker skip skip_deletes
        stagger_sequence stagger_sequences
    """,
}


def upgrade() -> None:
    sqlfile.run("revisions/as_owner.sql")
    sqlfile.run_all(f"{name}.sql" for name in TYPES.split())
    sqlfile.run_all(f"{folder}/{name}.sql" for folder, names in FUNCTIONS_AND_VIEWS.items() for name in names.split())
    sqlfile.run_all(
        [
            "revisions/0003_functions_and_views.up.sql",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run_all(["revisions/site_first.sql", "revisions/0003_functions_and_views.down.sql"])
