"""what would go wrong, and the self-test"""

from migrations import sqlfile

revision = "core_0010"
down_revision = "core_0009"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0010_check.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0010_check.down.sql")
