"""The page docs/with-your-alembic.md, its code as it stands there, in a project that has Alembic and models of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import REPO, Nodes
from harness.exchange import rows, sync
from harness.worker import PROGRAM

PAGE = (REPO / "docs" / "with-your-alembic.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MODELS = """
from sqlalchemy import Integer, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
"""


class Project:
    """A user's project: env.py with the page's snippets, one revision, and rowferry beside it."""

    def __init__(self, folder: Path, nodes: Nodes) -> None:
        self.folder, self.nodes = folder, nodes
        include, configure, revision = BLOCKS
        (folder / "versions").mkdir()
        (folder / "models.py").write_text(MODELS)
        (folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s\nprepend_sys_path = %(here)s\npath_separator = os\n"
        )
        (folder / "script.py.mako").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n"
            "def upgrade():\n    ${upgrades if upgrades else 'pass'}\n"
            "def downgrade():\n    ${downgrades if downgrades else 'pass'}\n"
        )
        (folder / "versions" / "one.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision = 'one'\ndown_revision = None\n{revision}"
        )
        indented = "".join(f"    {line}\n" for line in configure.splitlines())
        self.env = (
            "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine\nfrom models import Base\n"
            f"target_metadata = Base.metadata\n{include}\n"
            "with create_engine(os.environ['URL']).connect() as connection:\n"
            f"{indented}    with context.begin_transaction():\n        context.run_migrations()\n"
        )
        (folder / "env.py").write_text(self.env)

    def alembic(self, node: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The user's own Alembic, on one database."""
        url = getattr(self.nodes, node).conninfo.replace("postgresql://", "postgresql+psycopg://")
        command = [sys.executable, "-m", "alembic", *arguments]
        return subprocess.run(command, cwd=self.folder, env={**self.nodes.env, "URL": url}, capture_output=True, text=True)

    def succeed(self, node: str, *arguments: str) -> str:
        done = self.alembic(node, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(blank: Nodes, tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    made = Project(tmp_path / "project", blank)
    subprocess.run([PROGRAM, "init", "sync"], cwd=made.folder, check=True, capture_output=True)
    command = [sys.executable, "-m", "alembic", "-c", "sync/alembic.ini", "upgrade", "head"]
    done = subprocess.run(command, cwd=made.folder, env=blank.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


def test_a_revision_of_the_users_attaches_what_it_makes_and_takes_it_back(project: Project) -> None:
    for node in ("crm", "billing"):
        project.succeed(node, "upgrade", "head")
    project.nodes.crm.sql("insert into accounts values (1, 'Acme')")
    sync(*project.nodes)
    assert rows(project.nodes.billing, "select * from accounts") == ["(1,Acme)"]
    for node in ("crm", "billing"):
        project.succeed(node, "downgrade", "base")
        assert getattr(project.nodes, node).sql("select * from rowferry.entities") == []


def test_autogenerate_proposes_nothing_about_rowferry(project: Project) -> None:
    project.succeed("crm", "upgrade", "head")
    assert "No new upgrade operations detected" in project.succeed("crm", "check")
    project.succeed("crm", "revision", "--autogenerate", "-m", "nothing")
    [made] = [path for path in (project.folder / "versions").glob("*.py") if path.name != "one.py"]
    assert "op." not in made.read_text().replace("import op", "")


def test_without_the_snippet_it_would(project: Project) -> None:
    project.succeed("crm", "upgrade", "head")
    (project.folder / "env.py").write_text(project.env.replace("    include_name=include_name,\n", ""))
    done = project.alembic("crm", "check")
    assert done.returncode != 0 and "rowferry" in done.stdout + done.stderr
