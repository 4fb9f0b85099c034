"""the log of exchanges and the sums that prove it"""

from migrations import sqlfile

revision = "core_0007"
down_revision = "core_0006"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0007_account.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0007_account.down.sql")
