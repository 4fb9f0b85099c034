"""Histories of a hub and its spokes: what one spoke changes goes on to the others, and the links fail one by one.

Besides what happens between two nodes, a server ends in the middle of a call, and a spoke goes back to an older state of itself.
"""

from __future__ import annotations

import contextlib
import copy

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from convergence.exchange import step
from convergence.lockstep import Lockstep
from convergence.model import Node
from convergence.stage import KEYS

HUB = 0
# A backup of all that rowferry knows and of the users' rows. They first: to write them sets off triggers.
KEEP = """
create schema if not exists kept;
do $$
declare
  v_table regclass;
begin
  drop table if exists kept.places;
  create table kept.places as
    select sequencename, coalesce(last_value, 0) as last_value from pg_sequences where schemaname = 'rowferry';
  for v_table in select c.oid from pg_class c
      where c.oid = 't.records'::regclass or (c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r'
        and c.relname <> 'compared_records') loop -- it is empty, and has a generated column
    execute format('drop table if exists kept.%1$I; create table kept.%1$I as table %2$s', v_table::text, v_table);
  end loop;
end $$
"""
GO_BACK = """
set session_replication_role = replica;
do $$
declare
  v_table text;
begin
  for v_table in select c.relname from pg_class c where c.relnamespace = 'kept'::regnamespace and c.relname <> 'places'
      order by c.relname <> 't.records' loop
    execute format('delete from %2$s; insert into %2$s overriding system value table kept.%1$I', v_table, v_table);
  end loop;
  perform setval(format('rowferry.%I', p.sequencename), greatest(p.last_value, 1), p.last_value > 0) from kept.places p;
end $$;
reset session_replication_role;
"""


class Spokes(Lockstep):
    """The last spoke may go back, unless people give changes up: then both would be people's choice."""

    def __init__(self) -> None:
        self.may_go_back = self.went_back = False
        self.kept: Node | None = None
        super().__init__()

    @property
    def fragile(self) -> int:
        return len(self.sides) - 1

    @initialize(goes_back=st.booleans())
    @step
    def begin_to_fail(self, goes_back: bool) -> None:
        self.may_go_back = goes_back

    @rule(which=st.integers(0, 5), limit=st.sampled_from([1, 2, 5]))
    @step
    def crash(self, which: int, limit: int) -> None:
        """The server ends before a call is committed: nothing has happened, and the courier may make the call again."""
        if self.posts:
            post = self.posts[which % len(self.posts)]
            courier = self.sides[post.side].courier
            with contextlib.suppress(psycopg.errors.LockNotAvailable), courier.transaction(force_rollback=True):
                self.ask(post, limit)
            self.compare(post.side)

    @rule(order=st.permutations(range(6)), key=st.sampled_from(KEYS), writers=st.integers(2, 6), calls=st.integers(1, 6))
    @step
    def meet(self, order: list[int], key: str, writers: int, calls: int) -> None:
        """Several nodes change one record, and what they say comes to the hub in this order."""
        for side in [side for side in order if side < len(self.sides)][:writers]:
            self.user.__wrapped__(self, side, 0, "write", key, key, False, 0)  # type: ignore[attr-defined]
        self.posts.sort(key=lambda post: order.index(max(post.side, post.peer)))
        self.carry.__wrapped__(self, calls, 2)  # type: ignore[attr-defined]

    @precondition(lambda self: self.may_go_back and not self.may_skip and not self.went_back)
    @rule(keys=st.lists(st.sampled_from(KEYS), max_size=3), calls=st.integers(0, 6))
    @step
    def forget(self, keys: list[str], calls: int) -> None:
        """Users write and envelopes come, and then the spoke is as it was before."""
        self.back_up()
        for key in keys:
            self.user.__wrapped__(self, self.fragile, 0, "write", key, key, False, 0)  # type: ignore[attr-defined]
        self.carry.__wrapped__(self, calls, 2)  # type: ignore[attr-defined]
        if self.kept:
            self.go_back()

    def back_up(self) -> None:
        side = self.fragile
        if not any(at == side for at, _ in self.open):
            self.sides[side].courier.execute(KEEP)
            self.kept = copied(self.nodes[side])

    def go_back(self) -> None:
        """Its connections break: nothing under way reaches it, or comes from it. Lost writes are not judged."""
        assert self.kept
        side = self.fragile
        for at, who in sorted(self.open):
            if at == side:
                self.end(side, who, False)
        self.sides[side].courier.execute(GO_BACK)
        self.nodes[side] = self.kept
        self.nodes[side].log, self.nodes[side].now = self.log, self.clocks[side]
        self.nodes[side].writer += "'"
        self.went_back = self.may_resync = True
        self.posts = [post for post in self.posts if side not in (post.side, post.peer)]
        self.come(HUB, side)
        self.compare(side)

    def rest(self) -> None:
        """People begin a link anew that has stopped, and send all rows again."""
        if self.went_back:
            for _ in range(4):  # who follows may stop as well, for what it heard before
                self.posts.clear()
                self.come(HUB, self.fragile)
                for _ in range(8):
                    if self.posts and (answer := self.exchange(self.posts.pop(0), 5)):
                        self.posts.append(answer)
                for side, peer in self.stopped():
                    self.begin_anew(side, peer)
            assert not self.stopped()
            super().rest()
            for side, peer in self.ends():
                for key in self.keys:
                    self.send_again(side, peer, key)
                super().rest()
        else:
            super().rest()

    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The link of the spoke that may go back."""
        return (HUB, self.fragile), (self.fragile, HUB)

    def stopped(self) -> list[tuple[int, int]]:
        return [(side, peer) for side, peer in self.ends() if self.nodes[side].links[self.nodes[peer].name].stopped]

    def compare_logs(self) -> None:
        if not self.went_back:
            super().compare_logs()


def copied(node: Node) -> Node:
    """The node as it is now; the log of all writes is not its own."""
    log, node.log = node.log, []
    copy_of_it = copy.deepcopy(node)
    node.log = log
    return copy_of_it
