"""How a demo is told: what is typed is shown, and what follows of it is awaited, checked and shown."""

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from rowferry.demo.children import DemoError
from rowferry.demo.screen import Node, Row, dim, prompt, say
from rowferry.demo.worker import Worker

WAIT_SECONDS = 15.0
WAITING = "select entity, record_id, event_type from rowferry.sync_events order by id"


class Telling:
    """What is typed, awaited and checked, in order."""

    def __init__(self, nodes: Sequence[Node], worker: Worker) -> None:
        self.nodes, self.worker = nodes, worker
        self.changed_at = time.monotonic()

    def tell(self) -> None:
        raise NotImplementedError

    def go_to(self, *variables: str) -> None:
        """Show where the commands are typed and what they find in the environment."""
        folder = self.worker.folder
        if Path.cwd() != folder:
            prompt(f"cd {shlex.quote(min(str(folder), os.path.relpath(folder), key=len))}")
        prompt("export " + " \\\n    ".join(" ".join(f"{name}=postgresql://..." for name in pair) for pair in pairs(variables)))

    def change(self, node: Node, statement: str, tag: str) -> None:
        """Show a statement that changes something, and check what psql says of it."""
        answer = node.type(statement)
        self.changed_at = time.monotonic()
        if answer.splitlines()[-1:] != [tag]:
            raise DemoError(f"{node.name}: {statement}\nshould answer {tag}, not {answer}")
        say()

    def search_rowferry(self, node: Node) -> None:
        """Show and remember that from here on names are looked up in rowferry's schema first."""
        self.change(node, "set search_path = rowferry, public;", "SET")
        node.search_path = "rowferry, public"

    def until(self, node: Node, query: str, wanted: list[Row]) -> None:
        """Wait until the query gives the rows that are wanted; DemoError, with the rows there were, after WAIT_SECONDS."""
        begun = time.monotonic()
        while True:
            late = time.monotonic() - begun > WAIT_SECONDS
            found = node.rows(query)
            if found == wanted:
                return
            self.worker.signals.check()
            self.worker.check()
            if late:
                raise DemoError(
                    f"waited {WAIT_SECONDS:g} s in vain on {node.name}: {query}\nwanted {wanted}\nfound  {found}\n"
                    f"the worker said: {self.worker.words() or 'nothing'}"
                )
            time.sleep(0.02)

    def see(self, node: Node, query: str, wanted: list[Row]) -> None:
        """Wait until the query gives the rows that are wanted, show it, and check that this is what was shown."""
        self.until(node, query, wanted)
        answer = node.type(query)
        shown = [tuple(value.strip() for value in line.split("|")) for line in answer.splitlines()[2:-1]]
        if shown != wanted:
            raise DemoError(f"{node.name}: {query}\nshould show {wanted}\nbut shows   {shown}")
        say()

    def arrive(self, node: Node, query: str, wanted: list[Row]) -> None:
        """As see(), saying how long after the last change it was so."""
        self.until(node, query, wanted)
        say(dim(f"-- {time.monotonic() - self.changed_at:.1f} s later"))
        self.see(node, query, wanted)

    def settle(self) -> None:
        """Wait until nothing is on its way."""
        for node in self.nodes:
            self.until(node, WAITING, [])


def pairs(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[place : place + 2] for place in range(0, len(names), 2)]
