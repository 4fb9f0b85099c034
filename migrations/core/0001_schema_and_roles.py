"""schema and roles"""

from rowferry.migrations import sqlfile

revision = "core_0001"
down_revision = None


def upgrade() -> None:
    sqlfile.run_all(["revisions/0001_schema_and_roles.up.sql", "revisions/rights.sql"])


def downgrade() -> None:
    sqlfile.run_all(["revisions/site_first.sql", "revisions/0001_schema_and_roles.down.sql"])
