"""attach and detach"""

from rowferry.migrations import sqlfile

revision = "core_0003"
down_revision = "core_0002"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_object_name_v01.sql",
            "functions/_schema_and_name_v01.sql",
            "functions/_users_function_v01.sql",
            "functions/_shape_v01.sql",
            "functions/_base_type_v01.sql",
            "functions/_entity_columns_v01.sql",
            "functions/_type_spelled_v01.sql",
            "functions/_column_types_v01.sql",
            "functions/_captured_columns_v01.sql",
            "functions/_inbound_columns_v01.sql",
            "functions/_written_v01.sql",
            "functions/_means_sql_v01.sql",
            "functions/_definer_check_sql_v01.sql",
            "functions/_users_owner_v01.sql",
            "functions/_users_check_sql_v01.sql",
            "functions/_read_only_sql_v01.sql",
            "functions/_only_sql_v01.sql",
            "functions/_rows_of_sql_v01.sql",
            "functions/_unaltered_v01.sql",
            "functions/_record_id_sql_v01.sql",
            "functions/_keys_sql_v01.sql",
            "functions/_refuse_truncate_v01.sql",
            "functions/_capture_part_sql_v01.sql",
            "functions/_pinned_sql_v01.sql",
            "functions/_filtered_sql_v01.sql",
            "functions/_filter_sql_v01.sql",
            "functions/_source_sql_v01.sql",
            "functions/_capture_sql_v01.sql",
            "functions/_reader_parts_v01.sql",
            "functions/_read_sql_v01.sql",
            "functions/_hash_sql_v01.sql",
            "functions/_apply_sql_v01.sql",
            "functions/_altered_sql_v01.sql",
            "functions/_differing_sql_v01.sql",
            "functions/_finish_sql_v01.sql",
            "functions/_keys_function_sql_v01.sql",
            "functions/_lacking_sql_v01.sql",
            "functions/_breaker_sql_v01.sql",
            "functions/_sequences_sql_v01.sql",
            "functions/_is_arbiter_v01.sql",
            "functions/_merge_sql_v01.sql",
            "functions/_triggers_sql_v01.sql",
            "functions/_entity_functions_v01.sql",
            "functions/_rights_sql_v01.sql",
            "functions/_attach_call_v01.sql",
            "functions/_table_apart_v01.sql",
            "functions/_unreadable_entity_v01.sql",
            "functions/_check_trigger_names_v01.sql",
            "functions/_plan_entity_v01.sql",
            "functions/_check_filter_v01.sql",
            "functions/_filter_problem_v01.sql",
            "functions/_check_outbound_v01.sql",
            "functions/_check_inbound_v01.sql",
            "functions/_check_handler_v01.sql",
            "functions/_handler_problem_v01.sql",
            "functions/_check_rules_v01.sql",
            "functions/_attach_sql_v01.sql",
            "functions/_differing_functions_v01.sql",
            "functions/_refresh_sql_v01.sql",
            "functions/_server_warning_v01.sql",
            "functions/_lock_table_v01.sql",
            "functions/_dumped_by_v01.sql",
            "functions/_let_dump_v01.sql",
            "functions/attach_v01.sql",
            "functions/set_rules_v01.sql",
            "functions/detach_v01.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0003_capture.down.sql")
