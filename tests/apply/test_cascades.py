"""A delete takes along on the other node what it took where it was made, and nothing whose own change is still to come."""

import pytest

from harness import Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting

LISTS = """
    create table lists (id int primary key);
    create table tasks (id int primary key, list int not null references lists on delete cascade, place int not null,
      unique (list, place));
    create table comments (id int primary key, task int not null references tasks on delete cascade);
    create table notes (id int primary key, task int references tasks on delete set null);
    create table users (id int primary key, email text unique);
    select rowferry.attach('lists'), rowferry.attach('tasks'), rowferry.attach('comments');
    select rowferry.attach('notes'), rowferry.attach('users')"""
MOVED = "begin; update tasks set list = 2, place = 10 + id where list = 1; delete from lists where id = 1; commit"
TABLES = ("lists", "tasks", "comments", "notes", "users")


@pytest.fixture
def tasks(nodes: Nodes) -> Nodes:
    """Two lists with two tasks each, which have comments and notes."""
    for node in nodes:
        node.sql(LISTS)
    nodes.crm.sql("""
        insert into lists values (1), (2);
        insert into tasks select n, 1 + n / 3, n from generate_series(1, 4) n;
        insert into comments select n, n from generate_series(1, 4) n;
        insert into notes select n, n from generate_series(1, 4) n;
        insert into users values (1, 'a'), (2, 'b')""")
    sync(*nodes)
    return nodes


def nothing_is_lost(nodes: Nodes) -> None:
    sync(*nodes)
    for table in TABLES:
        assert_equal(nodes, table)
    for node in nodes:
        assert rows(node, "select count(*), count(distinct task) from comments") == ["(4,4)"]
        assert rows(node, "select count(task) from notes") == ["(4)"]
        assert rows(node, "select * from rowferry.conflicts") == []
        assert waiting(node) == []


@pytest.mark.case(146)
@pytest.mark.parametrize(
    "beside",
    [
        "delete from users where id = 1; update users set email = 'a' where id = 2",
        "update tasks set place = 50 where id = 3; update tasks set list = 2, place = 3 where id = 1",
        "update users set email = 'c' where id = 1; update users set email = 'a' where id = 2",
    ],
    ids=["a unique value of a deleted row", "a unique value of the list", "a unique value of another table"],
)
def test_rows_that_were_moved_before_a_delete_are_moved_before_it(tasks: Nodes, beside: str) -> None:
    tasks.crm.sql(f"{beside}; {MOVED}")
    nothing_is_lost(tasks)


@pytest.mark.case(146)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_delete_waits_for_a_row_that_was_moved_and_refused(tasks: Nodes, limit: int) -> None:
    tasks.billing.sql("alter table tasks add constraint small check (place < 10)")
    tasks.crm.sql(MOVED)
    sync(*tasks, limit=limit)
    assert rows(tasks.billing, "select id from lists order by 1") == ["(1)", "(2)"]
    assert rows(tasks.billing, "select count(*) from comments") == ["(4)"]
    [error] = {row["last_error"] for row in tasks.crm.sql("select last_error from rowferry.sync_events where entity = 'lists'")}
    assert "of tasks along, of which a change has not come yet" in error
    tasks.billing.sql("alter table tasks drop constraint small")
    tasks.crm.sql("select rowferry.retry('tasks')")
    nothing_is_lost(tasks)


@pytest.mark.case(146)
def test_a_delete_waits_for_a_row_of_a_paused_table(tasks: Nodes) -> None:
    tasks.crm.sql("select rowferry.pause(p_entity => 'tasks')")
    tasks.crm.sql(MOVED)
    sync(*tasks)
    assert rows(tasks.billing, "select count(*) from comments") == ["(4)"]
    tasks.crm.sql("select rowferry.resume(p_entity => 'tasks')")
    nothing_is_lost(tasks)


@pytest.mark.case(146)
def test_a_delete_waits_for_a_row_of_a_table_with_another_shape(tasks: Nodes) -> None:
    add = "begin; alter table tasks add column title text; select rowferry.attach('tasks'); commit"
    tasks.crm.sql(add)
    tasks.crm.sql(MOVED)
    sync(*tasks)
    assert rows(tasks.billing, "select count(*) from comments") == ["(4)"]
    tasks.billing.sql(add)
    nothing_is_lost(tasks)


@pytest.mark.case(146)
def test_a_delete_waits_for_a_row_that_somebody_has_locked(tasks: Nodes) -> None:
    with tasks.billing.connect() as user:
        user.execute("begin; select from tasks where id = 1 for update")
        tasks.crm.sql(MOVED)
        sync(*tasks)
        assert rows(tasks.billing, "select count(*) from comments") == ["(4)"]

    def delivered() -> bool:  # a row that was locked rests for a moment, in which nothing else may be left to do
        sync(*tasks)
        return waiting(tasks.crm) == []

    wait_until(delivered, 20, "what waited for the lock has arrived")
    nothing_is_lost(tasks)


@pytest.mark.case(146)
def test_where_only_one_side_has_the_foreign_key_it_takes_rows_along(tasks: Nodes) -> None:
    """A foreign key's action is this node's own rule; it waits for nothing that is not on its way."""
    tasks.crm.sql("alter table tasks drop constraint tasks_list_fkey")
    tasks.crm.sql("delete from lists where id = 1")
    sync(*tasks)
    for node in tasks:
        assert rows(node, "select count(*) from tasks where list = 1") == ["(0)"]
        assert waiting(node) == []


@pytest.mark.case(146)
def test_a_row_of_this_nodes_users_goes_with_its_parent_and_is_kept_as_a_conflict(tasks: Nodes) -> None:
    tasks.billing.sql("insert into tasks values (9, 1, 9)")
    tasks.crm.sql("delete from lists where id = 1")
    sync(*tasks)
    assert_equal(tasks, "tasks")
    assert rows(tasks.billing, "select record_id, rule from rowferry.conflicts where entity = 'tasks'") == ["(9,cascade)"]


@pytest.mark.case(96, 146)
def test_a_parents_new_key_takes_no_child_that_follows_in_the_next_batch(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table parents (id text primary key, body text);
            create table children (id int primary key, body text,
              parent text references parents on update cascade on delete cascade);
            create table toys (id int primary key, child int not null references children on delete cascade);
            select rowferry.attach('parents'), rowferry.attach('children'), rowferry.attach('toys')""")
    nodes.crm.sql("insert into parents values ('p'); insert into children values (1, 'old', 'p'); insert into toys values (1, 1)")
    sync(*nodes)
    nodes.crm.sql("update parents set id = 'q' where id = 'p'; update children set body = 'new' where id = 1")
    courier = Courier(nodes)
    _, billing = courier.meet(nodes)
    first = courier.call(nodes.crm, billing, limit=2)
    courier.call(nodes.billing, first["envelope"])
    assert rows(nodes.billing, "select * from children join toys on child = children.id") == ["(1,old,p,1,1)"]
    sync(*nodes)
    for table in ("parents", "children", "toys"):
        assert len(assert_equal(nodes, table)) == 1
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


# A member has a salary and notes that only billing knows; crm moves it from team 1 to team 2, deletes team 1 and gives its
# name to team 2.
TEAMS = """
    create table teams (id int primary key, name text {null} unique);
    create table members (id int primary key, team int {action}, name text);
    select rowferry.attach('teams', p_filter => {filter}), rowferry.attach('members', p_columns => '["id", "team", "name"]')"""
HANDED_ON = """
    begin; insert into teams values (2, 'other') on conflict do nothing; update members set team = 2;
    delete from teams where id = 1; update teams set name = 'first' where id = 2; commit"""


def member_of_a_team(
    nodes: Nodes, null: str = "", action: str = "references teams on delete cascade", filtered: str = "null"
) -> None:
    for node in nodes:
        node.sql(TEAMS.format(null=null, action=action, filter=filtered))
    nodes.crm.sql("insert into teams values (1, 'first'); insert into members values (10, 1, 'ann')")
    sync(*nodes)
    nodes.billing.sql("""
        alter table members add salary int;
        create table notes_here (id int primary key, member int references members on delete cascade);
        update members set salary = 5000;
        insert into notes_here values (1, 10)""")


def member_is_moved(nodes: Nodes) -> None:
    for node in nodes:
        assert rows(node, "select * from teams") == ["(2,first)"]
        assert rows(node, "select id, team, name from members") == ["(10,2,ann)"]
        assert waiting(node) == rows(node, "select * from rowferry.conflicts") == []
    assert rows(nodes.billing, "select salary, member from members join notes_here on member = members.id") == ["(5000,10)"]


@pytest.mark.case(43, 146)
@pytest.mark.parametrize("exists", [False, True], ids=["a new row", "a row that is there"])
@pytest.mark.parametrize("null", ["", "not null"])
def test_a_row_whose_unique_value_is_wanted_is_deleted_after_what_refers_to_it_has_left(
    nodes: Nodes, null: str, exists: bool
) -> None:
    member_of_a_team(nodes, null)
    if exists:
        nodes.crm.sql("insert into teams values (2, 'other')")
        sync(*nodes)
    nodes.crm.sql(HANDED_ON)
    sync(*nodes)
    if null and not exists:
        # Neither can come first: the new row needs the name, the member needs the new row, and would go with the old one.
        assert {event.split(" ", 1)[1] for event in waiting(nodes.crm)} == {"teams 1 23503", "teams 2 23503", "members 10 23503"}
        assert rows(nodes.billing, "select * from members join notes_here on member = members.id") == ["(10,1,ann,5000,1,10)"]
        (hint,) = nodes.crm.sql("select distinct hint from rowferry.sync_events where entity = 'teams' and record_id = '2'")
        assert hint["hint"].startswith("Row 2 of teams needs a unique value that row 1 still has here. Give it another value")
        nodes.crm.sql("update teams set name = 'other' where id = 2; select rowferry.retry('teams')")
        sync(*nodes)
        nodes.crm.sql("update teams set name = 'first' where id = 2; select rowferry.retry('teams')")
        sync(*nodes)
    member_is_moved(nodes)


@pytest.mark.case(43, 146)
@pytest.mark.parametrize("action", ["references teams on delete set null", "references teams"])
def test_a_row_whose_unique_value_is_wanted_leaves_what_refers_to_it(nodes: Nodes, action: str) -> None:
    member_of_a_team(nodes, "not null" if "null" in action else "", action)
    nodes.crm.sql(HANDED_ON)
    sync(*nodes)
    member_is_moved(nodes)


@pytest.mark.case(43, 146)
def test_a_row_that_gives_its_value_up_stays_in_its_filter_until_it_is_deleted(nodes: Nodes) -> None:
    member_of_a_team(nodes, filtered="$$name <> 'none'$$")
    nodes.crm.sql("insert into teams values (2, 'other')")
    sync(*nodes)
    nodes.crm.sql(HANDED_ON)
    sync(*nodes)
    member_is_moved(nodes)
