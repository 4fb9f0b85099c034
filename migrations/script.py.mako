<%!
    import re
%>\
<% name = re.sub(r"\W+", "_", message or up_revision).strip("_").lower() %>\
"""${message}"""

from rowferry.migrations import sqlfile

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    sqlfile.run("revisions/${name}.up.sql")


def downgrade() -> None:
    sqlfile.run("revisions/${name}.down.sql")
