"""views, functions and rights for people"""

from rowferry.migrations import sqlfile

revision = "core_0005"
down_revision = "core_0004"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "views/sync_events_v01.sql",
            "functions/_link_v01.sql",
            "functions/_find_entity_v01.sql",
            "functions/_check_way_v01.sql",
            "functions/_present_row_v01.sql",
            "functions/skip_v01.sql",
            "functions/_skip_deleted_v01.sql",
            "functions/_retry_held_v01.sql",
            "functions/retry_v01.sql",
            "functions/pause_v01.sql",
            "functions/resume_v01.sql",
            "functions/backfill_v01.sql",
            "functions/resync_v01.sql",
            "functions/let_loser_win_v01.sql",
            "revisions/0005_operate.up.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0005_operate.down.sql")
