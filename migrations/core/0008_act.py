"""what people do: replay, hold an entity, approve deletes"""

from migrations import sqlfile

revision = "core_0008"
down_revision = "core_0007"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "revisions/0008_act.up.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0008_act.down.sql")
