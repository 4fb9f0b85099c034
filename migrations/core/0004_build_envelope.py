"""a new version of _build_envelope"""

from rowferry.migrations import sqlfile

revision = "core_0004"
down_revision = "core_0003"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "build/_build_envelope.sql",
            "base/version.sql",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    """Each file as it was at the revision before."""
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "build/_build_envelope.sql",
            "base/version.sql",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )
