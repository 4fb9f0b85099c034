"""accounts and users, under other names on billing"""

from rowferry.migrations import sqlfile

revision = "demo_0001"
down_revision = None


def upgrade() -> None:
    sqlfile.run("revisions/0001_accounts_and_users.up.sql")


def downgrade() -> None:
    sqlfile.run("revisions/0001_accounts_and_users.down.sql")
