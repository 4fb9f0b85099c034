"""what people do: replay, hold an entity, approve deletes"""

from rowferry.migrations import sqlfile

revision = "core_0007"
down_revision = "core_0006"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_cascades_v01.sql",
            "functions/_trip_breakers_v01.sql",
            "functions/_set_aside_v01.sql",
            "functions/_propagate_truncate_v01.sql",
            "functions/_end_wait_v01.sql",
            "functions/retry_entity_v01.sql",
            "functions/replay_v01.sql",
            "functions/_awaiting_v01.sql",
            "functions/approve_v01.sql",
            "functions/skip_deletes_v01.sql",
            "functions/set_breaker_v01.sql",
            "revisions/0007_act.up.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0007_act.down.sql")
