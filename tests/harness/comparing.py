"""Comparisons carried to their end, by hand or past what a test does meanwhile."""

from collections.abc import Callable
from typing import Any

from harness.courier import Courier
from harness.nodes import Node, Nodes
from harness.waiting import wait_until

OPEN = "select 1 from rowferry.comparisons where state in ('queued', 'walking', 'resolving')"
REPORT = "select * from rowferry.compare_runs limit 1"


class Carrier:
    """A courier that hands on what each call returns, unless `lose` says that this envelope gets lost."""

    def __init__(self, nodes: Nodes, lose: Callable[[int], bool] = lambda _: False) -> None:
        self.nodes, self.lose = nodes, lose
        self.rounds = 0
        self.courier = Courier(nodes)
        self.inbox: dict[str, bytes | None] = {"crm": None, "billing": None}

    def reopen(self) -> None:
        for connection in self.courier.connections.values():
            connection.close()
        self.courier = Courier(self.nodes)
        self.inbox = {"crm": None, "billing": None}

    def round(self) -> list[dict[str, Any]]:
        """One call on each node, then each has what the other one said."""
        self.rounds += 1
        answers = [self.courier.call(node, self.inbox[node.name]) for node in self.nodes]
        for answer, reader in zip(answers, ("billing", "crm"), strict=True):
            self.inbox[reader] = answer["envelope"] if answer["status"] == "moved" else None
        if self.lose(self.rounds):
            self.reopen()
        return answers

    def until_compared(self, seconds: float = 60) -> None:
        """Until no comparison is open, whatever else moves."""
        wait_until(lambda: (self.round(), not any(node.sql(OPEN) for node in self.nodes))[1], seconds, "no comparison is open")

    def until_done(self, seconds: float = 60) -> None:
        """Until no comparison is open and nothing moves."""

        def done() -> bool:
            idle = all(answer["status"] == "idle" for answer in self.round())
            return idle and not any(node.sql(OPEN) for node in self.nodes)

        wait_until(done, seconds, "no comparison is open")


def compared(
    nodes: Nodes, entity: str, node: Node | None = None, lose: Callable[[int], bool] = lambda _: False
) -> dict[str, Any]:
    """The run of a comparison asked for on a node (crm), carried to its end."""
    node = node or nodes.crm
    node.sql("select * from rowferry.compare(%s)", [entity])
    Carrier(nodes, lose).until_compared()
    return node.sql(REPORT)[0]


def found(run: dict[str, Any]) -> dict[str, int]:
    """Its counts."""
    return {name: run[name] for name in ("same", "different", "only_here", "only_there", "pending")}


def differences(node: Node) -> list[str]:
    """What the newest comparison of a node lists: 'different 17'."""
    rows = node.sql(
        "select concat_ws(' ', kind, record_id) as difference from rowferry.differences"
        " where run_id = (select max(run_id) from rowferry.compare_runs) order by kind, record_id"
    )
    return [row["difference"] for row in rows]


def unseen(node: Node, statement: str, table: str = "public.notes") -> None:
    """A change past capture, as a disabled trigger or a table restored from elsewhere would leave it."""
    node.sql(f"""
        do $$
        declare
          v_names text[] := array(select tgname from pg_trigger where tgrelid = '{table}'::regclass and not tgisinternal);
          v_name text;
        begin
          foreach v_name in array v_names loop
            execute format('alter table {table} disable trigger %I', v_name);
          end loop;
          {statement};
          foreach v_name in array v_names loop
            execute format('alter table {table} enable always trigger %I', v_name);
          end loop;
        end $$""")
