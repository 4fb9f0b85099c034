"""Failpoints: at the beginning of a function of rowferry's, raise a SQLSTATE, end the backend, or wait for the test."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Node

GATE = 4711  # an advisory lock that a test holds for as long as a backend is to wait
# A sequence counts hits: it is the one thing that a rollback leaves alone. The function is in rowferry's schema, because an error
# that is raised elsewhere in so many words says something about a row.
INSTALL = """
    create schema failpoint;
    create table failpoint.armed (step text, what text);
    create sequence failpoint.hits minvalue 0 start 0;
    select nextval('failpoint.hits');
    create function rowferry._failpoint(p_step text) returns void language plpgsql security definer
    set lock_timeout = 0 as $$  -- the caller's would end the wait after a tenth of a second
    declare
      v_what text := (select a.what from failpoint.armed a where a.step = p_step);
    begin
      if v_what is null or nextval('failpoint.hits') > 1 then
        return;
      elsif v_what = 'wait' then
        perform pg_advisory_xact_lock_shared(4711);
      elsif v_what = 'end' then
        perform pg_terminate_backend(pg_backend_pid());
        perform pg_sleep(10);
      else
        raise exception using errcode = v_what, message = 'failpoint at ' || p_step;
      end if;
    end $$;
    grant usage on schema failpoint to public;
    grant select on failpoint.armed to public;
    grant usage on sequence failpoint.hits to public"""
BODY = "select pg_get_functiondef(oid) as body from pg_proc where proname = %s and pronamespace = 'rowferry'::regnamespace"


def install(node: Node, steps: Sequence[str]) -> None:
    """Put a failpoint, not armed, at the beginning of each of these functions."""
    node.sql(INSTALL)
    for step in steps:
        [row] = node.sql(BODY, [step])
        assert row["body"].count("\nbegin\n") == 1, step
        node.sql(row["body"].replace("\nbegin\n", f"\nbegin\n  perform rowferry._failpoint('{step}');\n"))


def arm(node: Node, step: str, what: str) -> None:
    """`what`: a SQLSTATE; 'end': the backend ends itself, as pg_terminate_backend does; 'wait': until the gate opens. Once."""
    node.sql("truncate failpoint.armed; select setval('failpoint.hits', 0)")
    node.sql("insert into failpoint.armed values (%s, %s)", [step, what])


def hits(node: Node) -> int:
    """How often the armed failpoint was passed, since it was armed."""
    return int(node.sql("select last_value from failpoint.hits")[0]["last_value"])
