"""both nodes' rows compared and repaired"""

from rowferry.migrations import sqlfile

revision = "core_0008"
down_revision = "core_0007"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0008_compare_tables.up.sql",
            "functions/_estimated_rows_v01.sql",
            "functions/_progress_v01.sql",
            "functions/_compared_v01.sql",
            "functions/_later_there_v01.sql",
            "functions/_compare_start_v01.sql",
            "functions/_compare_choose_v01.sql",
            "functions/_compare_note_v01.sql",
            "functions/_compare_queue_v01.sql",
            "functions/_compare_resolve_v01.sql",
            "functions/_compare_on_purpose_v01.sql",
            "functions/_compare_answer_v01.sql",
            "functions/_compare_hear_v01.sql",
            "functions/_compare_ask_v01.sql",
            "functions/_compare_v01.sql",
            "functions/compare_v01.sql",
            "functions/repair_v01.sql",
            "functions/first_contact_v01.sql",
            "views/compare_runs_v01.sql",
            "views/differences_v01.sql",
            "views/compare_report_v01.sql",
            "views/backfill_progress_v01.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0008_compare.down.sql")
