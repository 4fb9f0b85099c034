"""What people do with an outbox: adding and removing it, rules, holding, giving up; the two nodes' own sync goes on beside it."""

import psycopg
import pytest

from harness import REPO, Nodes, prefork
from harness.exchange import assert_equal, refused_with, rows, sync
from harness.outbox import add_outbox, deliver, drop_slots, last, make_slot, read
from harness.roles import as_role, role


def test_a_server_whose_log_does_not_serve_is_told_what_to_set(request: pytest.FixtureRequest) -> None:
    shared = request.getfixturevalue("templates")
    said = refused_with("RF054", shared.crm, "select rowferry.add_outbox('kafka')")
    assert "wal_level is replica" in said
    assert shared.crm.sql("select peer from rowferry.links") == [{"peer": "billing"}]


def test_a_plain_role_that_may_make_publications_adds_attaches_and_removes(bare: Nodes) -> None:
    person = role(bare.crm)
    bare.crm.sql(f"grant rowferry_owner to {person}; create table accounts (id int primary key)")
    bare.crm.sql(f"alter table accounts owner to {person}")
    connection = as_role(bare.crm, person)
    add = f"select rowferry.add_outbox('kafka', 'of_{bare.crm.database}')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="an outbox needs a publication") as caught:
        connection.execute(add)
    assert caught.value.diag.message_hint == f"grant create on database {bare.crm.database} to {person};"
    bare.crm.sql(caught.value.diag.message_hint)
    connection.execute(add)
    bare.crm.sql(f"revoke create on database {bare.crm.database} from {person}")
    connection.execute(add)  # again, with the publication that is there
    connection.execute("select rowferry.attach('accounts', p_peer => 'kafka')")
    make_slot(bare.crm)
    connection.execute("insert into accounts values (1)")
    deliver(bare.crm)
    assert last(read(bare.crm)) == {"1": {"id": 1}}
    connection.execute("select rowferry.detach('accounts@kafka')")
    other = role(bare.crm)
    bare.crm.sql(f"grant rowferry_owner to {other}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="removed by its owner") as caught:
        as_role(bare.crm, other).execute("select rowferry.remove_outbox()")
    assert caught.value.diag.message_hint.startswith(f"As {person}: select rowferry.remove_outbox(); or ")
    connection.execute("select rowferry.remove_outbox()")


@pytest.mark.parametrize("query", ["'Kafka'", "'billing'", "'crm'", "'kafka', 'Slot'", "''"])
def test_names_that_cannot_be_are_refused(bare: Nodes, query: str) -> None:
    refused_with("RF013", bare.crm, f"select rowferry.add_outbox({query})")


def test_a_node_has_one_outbox_and_its_slot_can_be_another(bare: Nodes) -> None:
    add_outbox(bare.crm)
    refused_with("RF013", bare.crm, "select rowferry.add_outbox('pulsar')")
    bare.crm.sql("select rowferry.add_outbox('kafka', 'another')")
    assert bare.crm.sql("select slot from rowferry.links where peer = 'kafka'") == [{"slot": "another"}]
    bare.crm.sql("select rowferry.add_outbox('kafka')")
    assert bare.crm.sql("select slot from rowferry.links where peer = 'kafka'") == [{"slot": "another"}]


def test_another_slot_is_one_that_is_still_to_be_made(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1"}
    drop_slots(nodes.crm)
    other = f"other_{nodes.crm.database}"
    said = nodes.crm.sql(f"select rowferry.add_outbox('kafka', '{other}')")
    assert any(f"there is no replication slot {other} yet" in row["add_outbox"] for row in said), said
    nodes.crm.sql("insert into accounts values (2, 'b', 2)")
    assert deliver(nodes.crm)["status"] == "paused"
    make_slot(nodes.crm)
    assert deliver(nodes.crm)["pending"] == 0
    assert rows(nodes.crm, "select state from rowferry.status where peer = 'kafka'") == ["(idle)"]


@pytest.mark.parametrize(
    ("sqlstate", "query"),
    [
        ("RF013", "select rowferry.attach('accounts', p_peer => 'kafka', p_direction => 'both')"),
        ("RF013", "select rowferry.attach('accounts', p_peer => 'kafka', p_direction => 'receive')"),
        ("RF013", "select rowferry.attach('accounts', p_peer => 'kafka', p_conflict_rule => 'node:crm')"),
        ("RF053", "select * from rowferry.compare('accounts@kafka')"),
        ("RF053", "select * from rowferry.first_contact('accounts@kafka')"),
        ("RF053", "select * from rowferry.resync('kafka')"),
        ("RF053", "select * from rowferry.compare_all('kafka')"),
        ("RF053", "select rowferry.remove_peer('kafka', p_force => true)"),
        ("RF053", "select * from rowferry.set_backlog_limit('kafka', '10 GB')"),
        ("RF012", "select rowferry.remove_outbox()"),
        ("RF006", "select rowferry.configure_node('crm', '{billing,kafka}')"),
    ],
)
def test_what_makes_no_sense_for_an_outbox_is_refused(nodes: Nodes, sqlstate: str, query: str) -> None:
    refused_with(sqlstate, nodes.crm, query)


def test_compare_all_compares_the_nodes_and_leaves_the_outbox_out(nodes: Nodes) -> None:
    assert rows(nodes.crm, "select entity, peer from rowferry.compare_all()") == ["(accounts,billing)"]


def test_a_name_that_no_topic_can_have_is_refused_and_another_one_helps(bare: Nodes) -> None:
    bare.crm.sql('create table "Order Lines" (id int primary key)')
    add_outbox(bare.crm)
    refused_with("RF013", bare.crm, """select rowferry.attach('"Order Lines"', p_peer => 'kafka')""")
    bare.crm.sql("""select rowferry.attach('"Order Lines"', 'order_lines', p_peer => 'kafka')""")


def test_two_entities_never_go_into_one_topic(bare: Nodes) -> None:
    """A reader that keeps the last message of each key would take their rows for one."""
    bare.crm.sql("create table a (id int primary key); create table b (id int primary key)")
    add_outbox(bare.crm)
    bare.crm.sql("select rowferry.attach('a', 'things', p_peer => 'kafka')")
    for name in ("things@x", "things@kafka"):
        refused_with("RF013", bare.crm, f"select rowferry.attach('b', '{name}', p_peer => 'kafka')")


def test_whoever_names_no_peer_means_the_node(nodes: Nodes) -> None:
    nodes.crm.sql("create table more (id int primary key)")
    nodes.crm.sql("select rowferry.attach('more')")
    assert nodes.crm.sql("select peer from rowferry.entities where name = 'more'") == [{"peer": "billing"}]
    assert nodes.crm.sql("select peer from rowferry.pause()") == [{"peer": "billing"}]


def test_a_healthy_outbox_has_no_finding(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    sync(*nodes)
    deliver(nodes.crm)
    read(nodes.crm)
    found = nodes.crm.sql("select * from rowferry.check('kafka')")
    assert [row["object"] for row in found] == [f"slot of_{nodes.crm.database}"], found
    assert nodes.crm.sql("select * from rowferry.check() where severity = 'error'") == []
    assert nodes.crm.sql("select * from rowferry.drift()") == []


def test_a_mass_delete_waits_for_a_person(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts select i, 'a', 1 from generate_series(1, 200) i")
    deliver(nodes.crm)
    read(nodes.crm)
    nodes.crm.sql("delete from accounts where id > 5")
    deliver(nodes.crm)
    assert read(nodes.crm) == []
    [status] = nodes.crm.sql("select state, reason from rowferry.status where peer = 'kafka'")
    assert status["state"] == "held" and "approve('accounts@kafka')" in status["reason"]
    nodes.crm.sql("select * from rowferry.approve('accounts@kafka')")
    deliver(nodes.crm)
    found = last(read(nodes.crm))
    assert len(found) == 195 and not any(found.values())


def test_a_change_that_is_given_up_is_not_sent(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1), (2, 'b', 2)")
    nodes.crm.sql("""
        select rowferry.skip(id, 'not for them') from rowferry.sync_events where entity = 'accounts@kafka' and record_id = '1'""")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"2"}
    sync(*nodes)
    assert assert_equal(nodes, "accounts") == ["(1,a,1.00)", "(2,b,2.00)"]
    nodes.crm.sql("select * from rowferry.replay('accounts@kafka', '1')")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1"}


def test_an_entity_and_the_outbox_can_be_paused_while_the_nodes_go_on(nodes: Nodes) -> None:
    nodes.crm.sql("select * from rowferry.pause('kafka')")
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    assert deliver(nodes.crm)["status"] == "paused"
    sync(*nodes)
    assert_equal(nodes, "accounts")
    nodes.crm.sql("select * from rowferry.resume('kafka'); select * from rowferry.pause(p_entity => 'accounts@kafka')")
    deliver(nodes.crm)
    assert read(nodes.crm) == []
    nodes.crm.sql("select * from rowferry.resume(p_entity => 'accounts@kafka')")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1"}


def test_switching_back_takes_the_outbox_away_and_leaves_the_nodes_in_sync(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    deliver(nodes.crm)
    nodes.crm.sql("select rowferry.detach('accounts@kafka')")
    said = [row["remove_outbox"] for row in nodes.crm.sql("select rowferry.remove_outbox()")]
    assert "pg_drop_replication_slot" in said[-1]
    assert last(read(nodes.crm)).keys() == {"1"}, "what was written before is there to be read"
    refused_with("RF013", nodes.crm, f"select rowferry.add_outbox('kafka', 'of_{nodes.crm.database}')")
    assert nodes.crm.sql("select pubname from pg_publication") == []
    drop_slots(nodes.crm)
    nodes.crm.sql("insert into accounts values (2, 'b', 1)")
    sync(*nodes)
    assert assert_equal(nodes, "accounts") == ["(1,a,1.00)", "(2,b,1.00)"]
    add_outbox(nodes.crm)
    nodes.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka'); select * from rowferry.backfill('accounts@kafka')")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1", "2"}


def test_the_schema_cannot_be_removed_before_the_outbox(nodes: Nodes) -> None:
    nodes.crm.sql("select rowferry.detach(name) from rowferry.entities")
    command = ["-c", str(REPO / "alembic.ini"), "-x", "node=crm", "downgrade", "base"]
    code, out, err = prefork.run(command, nodes.env, REPO)
    assert code and "RF012" in out + err, out + err
    nodes.crm.sql("select rowferry.remove_outbox()")
    code, out, err = prefork.run(command, nodes.env, REPO)
    assert code == 0, out + err
    assert rows(nodes.crm, "select pubname from pg_publication") == []


def test_attach_and_check_ask_for_nothing_that_only_a_node_needs(bare: Nodes) -> None:
    bare.crm.sql("""
        create table orders (id int primary key, country text, line int);
        create table lines (id int primary key, order_id int references orders);
        alter table orders add foreign key (line) references lines;
        create table others (id int primary key, order_id int references orders)""")
    add_outbox(bare.crm)
    said = bare.crm.sql("""
        select rowferry.attach('lines', p_peer => 'kafka');
        select rowferry.attach('orders', p_peer => 'kafka', p_filter => 'country = ''CH''')""")
    assert [row["attach"] for row in said] == ["orders@kafka: public.orders goes into the outbox kafka, key id, 3 columns"]
    found = bare.crm.sql("select object, problem from rowferry.check('kafka') where object not like 'slot %'")
    assert found == []
    bare.crm.sql("alter table orders add note text")
    said = bare.crm.sql("select rowferry.attach('orders', p_filter => 'country = ''AT''')")
    assert [row["attach"].removeprefix("orders@kafka: ") for row in said][1:] == [
        "new: note",
        "what is in these columns goes with the next change of a row; of all rows at once: select * from "
        "rowferry.backfill('orders@kafka');  -- on the node whose values are to stay, once both have attached it",
        "rows that are in the filter now go to kafka with their next change; all at once: select * from "
        "rowferry.backfill('orders@kafka');",
        "rows that have left the filter stay on kafka as they are",
    ]
