"""the log of exchanges and the sums that prove it"""

from rowferry.migrations import sqlfile

revision = "core_0006"
down_revision = "core_0005"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_digest_v01.sql",
            "functions/_id_count_v01.sql",
            "functions/_effect_v01.sql",
            "functions/_log_batch_v01.sql",
            "functions/_note_problem_v01.sql",
            "functions/_compare_account_v01.sql",
            "functions/_count_left_v01.sql",
            "functions/audit_v01.sql",
            "functions/measure_capture_cost_v01.sql",
            "revisions/0006_account.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0006_account.down.sql")
