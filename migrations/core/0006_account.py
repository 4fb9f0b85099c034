"""the log of exchanges"""

from rowferry.migrations import sqlfile

revision = "core_0006"
down_revision = "core_0005"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_id_count_v01.sql",
            "functions/_effect_v01.sql",
            "functions/_prune_logs_v01.sql",
            "functions/set_retention_v01.sql",
            "functions/_log_batch_v01.sql",
            "revisions/0006_account.up.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0006_account.down.sql")
