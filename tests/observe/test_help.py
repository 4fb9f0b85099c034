"""help(): one page about each call, made from what the catalog says."""

from harness import Nodes

PAGE = 40  # lines


def test_each_call_and_view_has_a_page(nodes: Nodes) -> None:
    nodes.crm.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    with nodes.crm.connect() as viewer:
        viewer.execute("set role rowferry_viewer")
        lines = [line for (line,) in viewer.execute("select rowferry.help()").fetchall()]
        listed = [line for line in lines if line.startswith("  ")]
        calls = lines.index("Views:") - 1
        names = [line.split()[0] for line in listed]
        assert {"skip", "attach", "stagger_sequences", "status", "sync_events"} <= set(names)
        assert not any(name.startswith("_") or name.endswith("notes") for name in names)
        assert all(len(line.split(maxsplit=1)) == 2 and len(line) <= 120 for line in listed), listed
        [long] = [line for line in listed if line.startswith("  backfill ")]
        assert long.endswith("a chunk at a time in the order of their ..")
        for place, name in enumerate(names):
            page = [line for (line,) in viewer.execute("select rowferry.help(%s)", [name]).fetchall()]
            assert len(page) > 3 and max(map(len, page)) <= 100, (name, page)
            assert place >= calls or len(page) <= PAGE, (name, page)  # a table has a line for each column


def test_a_page_has_arguments_and_comment_and_is_found_by_whatever_one_types(nodes: Nodes) -> None:
    page = [row["help"] for row in nodes.crm.sql("select rowferry.help('skip')")]
    assert page[0] == "skip(p_id bigint, p_reason text default NULL, p_delete boolean default false)"
    assert page[3].startswith("Gives a change up.")
    for typed in ("rowferry.skip", "skip(1)", " rowferry.skip(1, 'x') ", "SKIP", "Rowferry.Skip(1)"):
        assert [row["help"] for row in nodes.crm.sql("select rowferry.help(%s)", [typed])] == page
    [row] = nodes.crm.sql("select rowferry.help('nothing')")
    assert row["help"] == "There is no call and no view of the name nothing: select rowferry.help(); lists them."
    view = "\n".join(row["help"] for row in nodes.crm.sql("select rowferry.help('status')"))
    assert "peer: The other node, or an outbox." in view
