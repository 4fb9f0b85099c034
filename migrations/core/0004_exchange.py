"""process_batch"""

from rowferry.migrations import sqlfile

revision = "core_0004"
down_revision = "core_0003"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/version_v01.sql",
            "functions/require_core_v01.sql",
            "functions/_is_transient_v01.sql",
            "functions/_stamp_v01.sql",
            "functions/_heard_ids_v01.sql",
            "functions/_rows_v01.sql",
            "functions/_delete_events_v01.sql",
            "functions/_may_own_events_v01.sql",
            "functions/_own_events_v01.sql",
            "functions/_section_part_v01.sql",
            "functions/_pieces_v01.sql",
            "functions/_record_count_v01.sql",
            "functions/_left_entries_v01.sql",
            "functions/_refusal_v01.sql",
            "functions/_encode_v01.sql",
            "functions/_decode_v01.sql",
            "functions/_parents_v01.sql",
            "functions/_ancestors_v01.sql",
            "functions/_apply_order_v01.sql",
            "functions/_patient_v01.sql",
            "functions/_alone_v01.sql",
            "functions/_free_events_v01.sql",
            "functions/_has_parents_v01.sql",
            "functions/_fresh_records_v01.sql",
            "functions/_choose_records_v01.sql",
            "functions/_read_batch_v01.sql",
            "functions/_mark_applying_v01.sql",
            "functions/_unmark_applying_v01.sql",
            "functions/_section_with_v01.sql",
            "functions/_merge_v01.sql",
            "functions/_settle_v01.sql",
            "functions/_write_sections_v01.sql",
            "functions/_may_differ_v01.sql",
            "functions/_finish_v01.sql",
            "functions/_note_differing_v01.sql",
            "functions/_lost_in_cascade_v01.sql",
            "functions/_with_rows_v01.sql",
            "functions/_apply_attempt_v01.sql",
            "functions/_by_hops_v01.sql",
            "functions/_schema_apart_v01.sql",
            "functions/_leave_locked_v01.sql",
            "functions/_orphan_v01.sql",
            "functions/_apply_parts_v01.sql",
            "functions/_apply_batch_v01.sql",
            "functions/_check_memory_v01.sql",
            "functions/_hold_entities_v01.sql",
            "functions/_hold_late_v01.sql",
            "functions/_hold_slow_v01.sql",
            "functions/_note_refusals_v01.sql",
            "functions/_record_conflicts_v01.sql",
            "functions/_retry_related_v01.sql",
            "functions/_hear_v01.sql",
            "functions/_perform_skips_v01.sql",
            "functions/_queue_backfill_v01.sql",
            "functions/_save_link_v01.sql",
            "functions/_new_generation_v01.sql",
            "functions/_open_v01.sql",
            "functions/_meet_v01.sql",
            "functions/_take_v01.sql",
            "functions/_lock_holder_v01.sql",
            "functions/_remove_superseded_v01.sql",
            "functions/_coalesce_v01.sql",
            "functions/_coalesce_records_v01.sql",
            "functions/_move_first_v01.sql",
            "functions/_anything_waits_v01.sql",
            "functions/_build_v01.sql",
            "functions/_counts_v01.sql",
            "functions/_exchange_v01.sql",
            "functions/process_batch_v01.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0004_exchange.down.sql")
