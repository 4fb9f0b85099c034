"""new versions of functions that build and apply a batch"""

from rowferry.migrations import sqlfile

revision = "core_0004"
down_revision = "core_0003"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "apply/_leave_altered.sql",
            "apply/_mark_applying.sql",
            "apply/_understood_sections.sql",
            "apply/_write_sections.sql",
            "build/_build_envelope.sql",
            "envelope/_decode.sql",
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
            "apply/_leave_altered.sql",
            "apply/_mark_applying.sql",
            "apply/_understood_sections.sql",
            "apply/_write_sections.sql",
            "build/_build_envelope.sql",
            "envelope/_decode.sql",
            "base/version.sql",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )
