"""A table whose every insert, update and delete by the sync is noted, so that an effect that comes twice shows."""

from harness import Node

# Every insert, update and delete that the sync makes in accounts, as the table's own trigger sees it.
TABLES = """
    create table accounts (id integer primary key, name text not null);
    create table effects (id integer, what text);
    create function note_effect() returns trigger language plpgsql as $$
    begin
      insert into effects values (coalesce(new.id, old.id), tg_op);
      return null;
    end $$;
    create trigger note_effect after insert or update or delete on accounts for each row execute function note_effect();
    alter table accounts enable always trigger note_effect;
    select rowferry.attach('accounts')"""


def names(node: Node) -> dict[int, str]:
    return {row["id"]: row["name"] for row in node.sql("select id, name from accounts")}


def effects(node: Node) -> list[str]:
    return [row["e"] for row in node.sql("select what || ' ' || id as e from effects order by 1")]
