<% stem = config.attributes["stem"] %>\
${repr(message)}

from rowferry.migrations import sqlfile

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    sqlfile.run("revisions/${stem}.up.sql")


def downgrade() -> None:
    sqlfile.run("revisions/${stem}.down.sql")
