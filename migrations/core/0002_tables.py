"""tables"""

from rowferry.migrations import sqlfile

revision = "core_0002"
down_revision = "core_0001"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "base/_long_key.sql",
            "base/_index_key.sql",
            "base/_stir.sql",
            "tables/links.sql",
            "tables/entities.sql",
            "tables/events.sql",
            "tables/moves.sql",
            "tables/held_events.sql",
            "tables/missing_parents.sql",
            "tables/built_batches.sql",
            "tables/taken_batches.sql",
            "tables/applying.sql",
            "tables/backfills.sql",
            "tables/skips.sql",
            "tables/conflicts.sql",
            "tables/detached.sql",
            "tables/batches.sql",
            "tables/traffic.sql",
            "tables/breakers.sql",
            "tables/waiting_runs.sql",
            "tables/comparisons.sql",
            "tables/compared_records.sql",
            "tables/peer_facts.sql",
            "tables/staggered_sequences.sql",
            "tables/outbox.sql",
            "tables/released.sql",
            "tables/released_objects.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0002_tables.down.sql")
