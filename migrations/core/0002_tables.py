"""tables, the clock, the name of the node"""

from rowferry.migrations import sqlfile

revision = "core_0002"
down_revision = "core_0001"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/_index_key_v01.sql",
            "functions/_index_keys_v01.sql",
            "revisions/0002_tables.up.sql",
            "functions/_now_v01.sql",
            "functions/_left_nothing_v01.sql",
            "functions/_identity_v01.sql",
            "functions/configure_node_v01.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run("revisions/0002_tables.down.sql")
