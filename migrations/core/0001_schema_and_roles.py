"""schema and roles"""

from rowferry.migrations import sqlfile

revision = "core_0001"
down_revision = None


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/0001_schema_and_roles.up.sql",
            "revisions/as_owner.sql",
            "tables/node.sql",
            "revisions/rights.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run_all(["revisions/site_first.sql", "revisions/0001_schema_and_roles.down.sql"])
