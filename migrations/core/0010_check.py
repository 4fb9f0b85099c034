"""what would go wrong"""

from rowferry.migrations import sqlfile

revision = "core_0010"
down_revision = "core_0009"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0010_check.up.sql",
            "functions/_function_digest_v01.sql",
            "functions/_generated_functions_v01.sql",
            "functions/_own_objects_v01.sql",
            "functions/_note_release_v01.sql",
            "functions/_check_own_v01.sql",
            "functions/_sequences_of_v01.sql",
            "functions/_facts_v01.sql",
            "functions/_schema_digest_v01.sql",
            "functions/_tell_facts_v01.sql",
            "functions/_note_facts_v01.sql",
            "functions/_check_capture_v01.sql",
            "functions/_check_functions_v01.sql",
            "functions/_check_rights_v01.sql",
            "functions/_check_tables_v01.sql",
            "functions/_check_triggers_v01.sql",
            "functions/_check_server_v01.sql",
            "functions/_may_draw_v01.sql",
            "functions/_stagger_problem_v01.sql",
            "functions/_check_peer_v01.sql",
            "functions/_check_sequences_v01.sql",
            "functions/_check_differing_v01.sql",
            "functions/check_v01.sql",
            "functions/drift_v01.sql",
            "functions/_staggering_v01.sql",
            "functions/_note_staggered_v01.sql",
            "functions/stagger_sequence_v01.sql",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run_all(["revisions/site_first.sql", "revisions/0010_check.down.sql"])
