"""what people look at: where things stand and why"""

from migrations import sqlfile

revision = "core_0006"
down_revision = "core_0005"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0006_see.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0006_see.down.sql")
