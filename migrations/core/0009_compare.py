"""both nodes' rows compared and repaired"""

from migrations import sqlfile

revision = "core_0009"
down_revision = "core_0008"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0009_compare.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0009_compare.down.sql")
