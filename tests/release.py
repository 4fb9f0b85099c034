"""`make release`, the last step before the tag: fixes the texts of this release, and dates its section of CHANGELOG.md.

From then on tests hold that each revision runs what it ran in the release, and upgrade from that.
"""

from __future__ import annotations

import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

from harness.nodes import REPO
from harness.releases import NOTE, altered, fixed, texts

HEAD = """\
# SHA-256 of what rowferry {version} released: each revision of core, and each SQL file that one runs. Written by `make release`.
# A text that is named here changes by `make new-function NAME=..`, which keeps the old one in sql/core/history (CONTRIBUTING.md).
"""
EDITED = "{name} was released and has another text now. Hint: {hint}"
FUNCTION = 'give it back its old text, type make new-function NAME="{stem}", then edit it'
REVISION = "give it back its old text; what is to change belongs into a new revision"


def edited(tree: Path) -> list[str]:
    """A line for each text of the last release that was edited in place, with what to do."""
    then = fixed(tree)
    names = [Path(name) for name in (altered(then, tree) if then else [])]
    hints = [
        REVISION if name.name[:4].isdigit() or "history" in name.parts else FUNCTION.format(stem=name.stem) for name in names
    ]
    return [EDITED.format(name=name, hint=hint) for name, hint in zip(names, hints, strict=True)]


def release(tree: Path, day: date) -> list[str]:
    """Write both files of the tree. Returns why it cannot, a line for each reason; then nothing is written."""
    if refused := edited(tree):
        return refused
    version = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["version"]
    changelog = tree / "CHANGELOG.md"
    text = changelog.read_text()
    heading = f"## {version} (unreleased)"
    if heading not in text.splitlines():
        return [f"CHANGELOG.md has no section {heading}. Hint: begin it; a new version also has another number in pyproject.toml"]
    changelog.write_text(text.replace(heading, f"## {version} ({day})", 1))
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in texts(tree).items())
    (tree / NOTE).write_text(HEAD.format(version=version) + lines)
    print(f"rowferry {version} is fixed in {NOTE} and dated {day} in CHANGELOG.md. Next:")
    print(f"  git add -A && git commit -m 'Release {version}' && git tag -a v{version} -m 'rowferry {version}'")
    print("  make dist")
    return []


def main() -> int:
    """The exit code: 1 if it cannot be released."""
    refused = release(REPO, datetime.now(UTC).date())
    print(*refused, sep="\n", end="\n" if refused else "", file=sys.stderr)
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
