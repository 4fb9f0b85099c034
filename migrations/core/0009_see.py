"""what people look at: where things stand and why"""

from rowferry.migrations import sqlfile

revision = "core_0009"
down_revision = "core_0008"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_uncaptured_v01.sql",
            "functions/_courier_lock_v01.sql",
            "functions/_courier_at_work_v01.sql",
            "functions/_rate_v01.sql",
            "functions/_waiting_v01.sql",
            "functions/_seen_at_v01.sql",
            "functions/_session_v01.sql",
            "functions/_locks_v01.sql",
            "functions/_kept_by_v01.sql",
            "functions/_standby_waited_for_v01.sql",
            "functions/_workers_lost_v01.sql",
            "functions/_roots_v01.sql",
            "functions/_others_wait_v01.sql",
            "functions/_delete_children_sql_v01.sql",
            "functions/why_stuck_v01.sql",
            "functions/_waits_for_v01.sql",
            "functions/row_status_v01.sql",
            "views/status_v01.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0009_see.down.sql")
