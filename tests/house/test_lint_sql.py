"""What `make lint` finds in SQL: each kind of mistake, planted, and nothing in what it allows."""

import pytest

pytest.importorskip("pgspot", reason="pgspot is not installed; make lint installs it")
import lint_sql

PINNED = "set search_path = pg_catalog, pg_temp"
HEAD = f"{PINNED};\ncreate schema rowferry;\n"


def findings(script: str) -> list[str]:
    text = lint_sql.readable(HEAD + script)
    return [*lint_sql.found_by_pgspot(text), *lint_sql.found_by_own_rules(text)]


def function(body: str, settings: str = PINNED, name: str = "f") -> str:
    return f"""create or replace function rowferry.{name}(
  p_entity rowferry.entities
)
returns void
language plpgsql
{settings}
as $$
declare
  v_entity rowferry.entities;
begin
  {body}
end
$$;
"""


HINTED = "raise exception using errcode = 'RF010', message = 'it is wrong', hint = 'make it right';"


@pytest.mark.parametrize(
    "script",
    [
        function(HINTED),
        function("v_entity.name := 'a'; p_entity.name := 'b';"),
        function("update rowferry.entities e set name = 'a' where e.id = 1;"),
        function("insert into rowferry.entities (name) values ('a');"),
        function("raise exception using errcode = 'RF101', message = 'undo';\nexception when sqlstate 'RF101' then null;"),
        function("null;", settings="stable", name="_now"),
    ],
)
def test_what_is_right_has_no_finding(script: str) -> None:
    assert findings(script) == []


@pytest.mark.parametrize(
    ("script", "finding"),
    [
        (function("null;", settings="stable"), "PS005"),
        (function("null;", settings="security definer"), "PS003"),
        (function("execute format('select %s', 1);", settings="stable"), "PS016"),
        ("reset search_path;\ndo $$ begin if 1 = 2 then null; end if; end $$;", "PS001"),
        (function("raise exception 'it is wrong';"), "f: an error without errcode and message and hint, line 5"),
        (function(HINTED.replace("hint", "detail")), "f: an error without hint"),
        (function("null;\nexception when others then null;"), "f: catches all errors"),
        (function("insert into rowferry.entities values (1);"), "f: an insert into entities that names no columns"),
        (function("update rowferry.entities set name = 'a';"), "f: an update of all rows of entities"),
        (function("if true then delete from rowferry.entities; end if;"), "f: a delete of all rows of entities"),
        ("delete from rowferry.entities;", "a delete of all rows of entities"),
        (
            function("update rowferry.events e set hops = 1 where e.record_id = any (p_entity.keys);"),
            "f: = any (p_entity.keys..): in (select unnest(..))",
        ),
    ],
)
def test_each_kind_of_mistake_is_found(script: str, finding: str) -> None:
    assert any(finding in found for found in findings(script)), findings(script)
