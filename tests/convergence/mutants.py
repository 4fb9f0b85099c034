"""Rules of the exchange taken out of the real SQL, one at a time, to see that the histories notice.

Each mutant replaces texts of functions, which must be found exactly once. `budget`: within how many histories of which
machine it must be caught; None: histories cannot, a test of its own must, which `why` names last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convergence.stage import definition, replace_in
from harness import Node


@dataclass(frozen=True)
class Mutant:
    """`changes`: function, old text, new text."""

    changes: tuple[tuple[str, str, str], ...]
    machine: str = "Lockstep"
    budget: int | None = 100
    why: str = ""


MUTANTS = {
    "own unseen changes are ignored": Mutant(
        (
            (
                "_unseen_changes",
                "where rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys))",
                "where false and rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys))",
            ),
        )
    ),
    "every event counts as unknown": Mutant(
        (
            (
                "_weigh_changes",
                "case when not e.id <@ p_known then e.stamp end, e.stamp is not null",
                "e.stamp, e.stamp is not null",
            ),
        ),
        budget=400,
    ),
    "acknowledgements are honoured too early": Mutant(
        (("_hear", "if (p_header ->> 'top')::bigint <= o_link.received then", "if true then"),)
    ),
    "a key travels without its events in flight": Mutant(
        (
            (
                "_read_section",
                "and e.id + 0 >= p_lowest",
                "and not exists (select from rowferry.built_batches b where b.in_flight and e.id <@ b.ids)",
            ),
        )
    ),
    "beaten events stay": Mutant((("_remove_beaten", "perform rowferry._delete_events(p_ids);", "null;"),)),
    "an answer counts as a real change": Mutant(
        (("_stamp", """(p_event).event_type operator(pg_catalog.=) 'a'::pg_catalog."char\"""", "false"),), budget=200
    ),
    "a consequence counts as a real change": Mutant(
        (("_stamp", "operator(pg_catalog.>) 0", "operator(pg_catalog.>) 100"),),
        budget=None,
        why="caught after 55 histories, or not after 415: test_a_child_survives_a_cascade_that_is_newer_than_its_change",
    ),
    "events leave by the number of their batch": Mutant(
        (
            (
                "_honour_acks",
                "o_retired := rowferry._delete_events(v_heard);",
                "o_retired := rowferry._delete_events("
                "(select range_agg(r) from rowferry.built_batches b cross join lateral unnest(b.ids) r"
                " where b.peer = p_link.peer and b.number <= (p_header ->> 'received')::bigint));",
            ),
        )
    ),
    "any token opens": Mutant(
        (
            (
                "_admit",
                '(v_token[1]::bigint, v_token[2] collate "C") < (p_link.token_number, p_link.token_random collate "C")',
                "false",
            ),
            (
                "_admit",
                '(v_token[1]::bigint, v_token[2] collate "C") > (p_link.token_number, p_link.token_random collate "C")',
                "(v_token[1]::bigint, v_token[2]) <> (p_link.token_number, p_link.token_random)",
            ),
        )
    ),
    "a skip asks nothing": Mutant(
        (("_perform_skips", "rowferry._delete_events(v_skip.ids) = 0", "rowferry._delete_events(v_skip.ids) >= 0"),)
    ),
    "a skip deletes without the word": Mutant((("_keep_given_up", "and not s.may_delete", "and false"),)),
    "an answer that is given up is asked back for": Mutant(
        (("_perform_skips", "where e.event_type <> 'a'", "where true"),), budget=400
    ),
    "a row that a skip keeps is told as a conflict that it lost": Mutant(
        (
            (
                "_decide_sections",
                "o_conflicts := rowferry._conflicts_without(o_conflicts, o_sections[i].entity, v_keys);",
                "null;",
            ),
        ),
        budget=400,
    ),
    "a backfill does not wait for the answer to a skip": Mutant(
        (("replay", "s.ended_at is null and not s.kept", "s.ended_at is null and false"),)
    ),
    "a new generation is settled from the start": Mutant(
        (("_new_generation", "set unsettled_since = rowferry._now()", "set unsettled_since = null"),), budget=200
    ),
    "a skip does not wait for what is in flight": Mutant(
        (("_perform_skips", "b.in_flight and b.ids && s.ids", "b.in_flight and false"),), budget=200
    ),
    "events that were sent are coalesced": Mutant((("_coalesce", " - p_left - v_sent", " - p_left"),), budget=200),
    "what was taken is forgotten early": Mutant(
        (("_honour_acks", "t.number <= (p_header ->> 'retired')::bigint", "t.number <= (p_header ->> 'retired')::bigint + 1"),),
        budget=200,
    ),
    "held events are never retried": Mutant(
        (("_due_records", "where h.not_before <= v_now", "where false and h.not_before <= v_now"),)
    ),
    "equal stamps are decided by each for itself": Mutant(
        (("_winner", '(p_mine, p_node collate "C") operator(pg_catalog.>) (p_theirs, p_peer collate "C")', "p_mine >= p_theirs"),)
    ),
    "a new courier builds before it has heard": Mutant(
        (("_open", "p_link.ready := p_link.slot is not null;", "null;"),),
        budget=200,
    ),
    "conflicts are not told": Mutant(
        (
            (
                "_honour_acks",
                "perform rowferry._record_conflicts(p_link.peer, p_header ->> 'from', v_ack -> 'conflicts');",
                "null;",
            ),
        ),
        budget=200,
    ),
    "refused rows are acknowledged": Mutant((("_apply_batch", "if cardinality(v_left) = 0 then", "if true then"),)),
    "applied rows are captured": Mutant(
        (("_mark_applying", "case when not v_everything then array_agg(k) end", "'{}'::text[]"),)
    ),
    "rows of the peer set off the users' triggers": Mutant((("is_applying", "return found;", "return false;"),)),
    "a setting silences the users' triggers": Mutant((("is_applying", "return found;", "return true;"),)),
    "triggers are not guarded": Mutant(
        (("_guards_sql", "p_entity.trigger_rule = 'guard' and", "false and"),),
        budget=None,
        why="tables are attached before: test_an_order_takes_from_the_stock_once_and_is_logged_once",
    ),
    "the search for events begins behind open transactions": Mutant(
        (
            (
                "_advance_first_id",
                "p_link.horizon_xid <= pg_snapshot_xmin(pg_current_snapshot())",
                "p_link.horizon_xid is not null",
            ),
        ),
        budget=None,
        why="rare: test_what_commits_long_after_it_was_written_is_found_however_much_has_left_since",
    ),
    "no look after the write": Mutant(
        (("_try_sections", "v_again := v_seen.o_moved <> '{}' or", "v_again :="),),
        budget=None,
        why="histories are played one statement at a time:"
        " test_a_record_that_its_user_makes_again_while_the_applier_has_decided_is_decided_again",
    ),
    "the orphan rule drop is ignored": Mutant(
        (("_decide_orphan", "if v_child.orphan_rule = 'drop' and", "if false and"),), "Dropping"
    ),
    "the orphan rule revive is ignored": Mutant(
        (("_decide_orphan", "elsif v_child.orphan_rule in ('hold', 'revive') and", "elsif false and"),), "Reviving"
    ),
    "a row is given up where nothing crossed": Mutant(
        (("_decide_orphan", "where v.event_type <> 'q' and not v.id <@ p_acked\n", "where v.event_type <> 'q'\n"),),
        budget=None,
        why="too rare in histories: test_a_deleted_parent_that_was_made_again_knowing_of_it_is_no_crossing",
    ),
    "a row that changed again is given up": Mutant(
        (("_give_up_orphans", "having bool_and(q.id <@ p_batch.ids)", "having true"),), "Dropping"
    ),
    "an answer that is an orphan is asked for again": Mutant(
        (("_refuse_record", "if v_refusal ->> 'give_up' = 'drop' and (", "if false and ("),), "Dropping"
    ),
    "a row that stays here is refused beside an orphan": Mutant(
        (("_take_apart", "coalesce(rowferry._unseen_changes(e.id, v_missing, p_heard, '{}'), '{}')", "'{}'"),),
        budget=None,
        why="too rare, not in 410 histories:"
        " test_a_row_that_stays_as_it_is_here_is_decided_although_its_other_version_is_an_orphan",
    ),
    "what a foreign key held waits although its parent came": Mutant(
        (("_parents_came", "set came = true", "set came = false"),), "Orphans"
    ),
    "a delete that a foreign key held waits although the row there left": Mutant(
        (("_retry_dependents", "where w.sqlstate = '23503' and", "where false and"),), "Orphans"
    ),
    "rows travel without their parents": Mutant(
        (("_read_batch", "exit when o_whole and not v_cut and not v_missing or v_alone is not null;", "exit;"),), "Orphans"
    ),
    "a parent that is held travels with every child": Mutant(
        (
            (
                "_parents_along",
                "from rowferry._sendable_records(o_entity_ids, o_record_ids) g",
                "from unnest(o_entity_ids, o_record_ids) g (entity_id, record_id)"
                " join rowferry.events e on e.entity_id = g.entity_id and e.record_id = g.record_id",
            ),
        ),
        "Orphans",
    ),
    "a row is tried although its parent is known to be missing": Mutant(
        (("_read_section", "if p_missing and v_section.keys is not null then", "if false then"),), "Orphans"
    ),
    "nobody looks whether a parent was made by hand": Mutant(
        (
            (
                "_look_for_parents",
                "update rowferry.held_events h set not_before = v_now",
                "update rowferry.held_events h set not_before = null",
            ),
        ),
        "Orphans",
    ),
    "rows that need each other travel one by one": Mutant(
        (
            (
                "_parents_along",
                "having bool_or(u.above_entity_id = u.entity_id",
                "having false and bool_or(u.above_entity_id = u.entity_id",
            ),
        ),
        budget=None,
        why="no circles in the histories: test_a_circle_that_was_held_goes_once_it_may_however_many_hang_on_it",
    ),
    "rows are written after deletes": Mutant(
        (
            (
                "_write_sections",
                "then array['apply', 'delete'] else",
                "then array['delete', 'apply'] else",
            ),
        ),
        budget=None,
        why="the end is the same but for what does not travel:"
        " test_a_row_that_left_a_parent_before_it_was_deleted_keeps_what_only_this_node_has",
    ),
    "rows are never written after deletes": Mutant(
        (("_delete_wanted", "if v_first <> '{}' then", "if false then"),),
        budget=None,
        why="no unique values in the histories:"
        " test_a_unique_value_passes_from_a_deleted_row_to_the_one_that_its_children_move_to",
    ),
    "a delete that goes first takes rows of its batch along": Mutant(
        (
            (
                "_delete_wanted",
                "perform rowferry._mark_applying(v_first);",
                "perform rowferry._mark_applying(p_sections);",
            ),
        ),
        budget=None,
        why="no unique values in the histories:"
        " test_a_row_whose_unique_value_is_wanted_is_deleted_after_what_refers_to_it_has_left",
    ),
    "a row that goes with another one is decided again": Mutant(
        (("_apply_piecewise", "if cardinality(v_along) > 0 then", "if false then"),),
        budget=None,
        why="no unique values in the histories:"
        " test_a_record_that_goes_with_another_one_which_wants_its_unique_value_is_merged_once",
    ),
    "parents are deleted first": Mutant(
        (("_write_sections", "else cardinality(v_sections) + 1 - i end", "else i end"),),
        budget=None,
        why="the parts are in the right order: test_rows_come_after_their_parents_and_go_before_them_in_one_attempt",
    ),
    "parents are not written first": Mutant(
        (("_parents_first", "array_agg(m.name order by d.depth,", "array_agg(m.name order by"),),
        budget=None,
        why="what is refused is tried again: test_rows_come_after_their_parents_and_go_before_them_in_one_attempt",
    ),
    "a cycle is written table by table": Mutant(
        (("_write_sections", "if cardinality(v_together) > 1 then", "if false then"),),
        budget=None,
        why="no cycles in the histories: test_rows_that_need_each_other_arrive_and_go_in_the_first_call",
    ),
    "unique values are not waited for": Mutant(
        (("_try_sections", "coalesce(cardinality(p_needs) > 0, false)", "false"),),
        budget=None,
        why="no unique values in the histories: test_a_list_that_moves_down_by_one_arrives_in_the_first_call",
    ),
    "a delete takes rows along of which a change is still to come": Mutant(
        (("_refuse_cascade", "if v_taken.record_id is not null then", "if false then"),),
        budget=None,
        why="both nodes lose the row alike: test_a_delete_waits_for_a_row_that_was_moved_and_refused",
    ),
    "constraints are not deferred": Mutant(
        (("_try_sections", "set constraints all deferred;", "null;"),),
        budget=None,
        why="no deferrable keys in the histories: test_two_tables_that_refer_to_each_other_arrive_through_deferred_keys",
    ),
    "memory is not checked": Mutant(
        (("_hear", "o_link.stopped_reason := rowferry._check_memory(o_link, p_header);", "o_link.stopped_reason := null;"),),
        budget=None,
        why="no node forgets in the histories: test_a_node_set_back_by_one_event_stops_before_an_old_acknowledgement_is_honoured",
    ),
    "nothing is passed on": Mutant(
        (("_mark_applying", "array(select e.peer from rowferry.entities e where e.name = (p_sections[1]).entity)", "'{}'"),),
        "Spokes",
    ),
    "what is passed on counts as a consequence": Mutant(
        (("_try_sections", "where exists (select from rowferry.links l where l.peer <> p_peer)", "where false"),), "Spokes"
    ),
    "what is passed on has the time at which it was passed on": Mutant(
        (("_pass_on", "case when c.stamp > '-infinity' then c.stamp else e.changed_at end", "e.changed_at"),), "Spokes"
    ),
    "a call takes the events of another link for its own": Mutant(
        (("_unseen_changes", "e.entity_id = p_entity_id", "e.entity_id = any (array(select n.id from rowferry.entities n))"),),
        "Spokes",
    ),
}
ORIGINALS: dict[tuple[str, str], str] = {}


def plant(nodes: Iterable[Node], name: str) -> None:
    """Takes the rule out on all nodes."""
    for node in nodes:
        for function, old, new in MUTANTS[name].changes:
            ORIGINALS.setdefault((node.database, function), definition(node, function))
            replace_in(node, function, old, new)


def heal(nodes: Iterable[Node]) -> None:
    """Brings back all that was taken out."""
    for node in nodes:
        for key in [k for k in ORIGINALS if k[0] == node.database]:
            node.sql(ORIGINALS.pop(key))
