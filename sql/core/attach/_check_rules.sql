-- Refuses rules that are none. A merge function is looked for on the arbiter alone, since the other node never calls it.
create or replace function rowferry._check_rules(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_node text := substring(p_entity.conflict_rule from '^node:(.+)$');
  v_merge text := substring(p_entity.conflict_rule from '^merge:(.+)$');
  v_names constant text[] := rowferry._split_name(v_merge);
  v_function pg_proc;
begin
  if p_entity.conflict_rule <> 'newest' and v_node is null and v_merge is null then
    raise exception using errcode = 'RF013', message = 'no such conflict rule', detail = format('%L.', p_entity.conflict_rule),
      hint = 'newest, node:crm (this node always wins) or merge:billing.merge_account (a function of yours).';
  elsif v_node <> p_entity.peer and v_node <> (select n.name from rowferry.node n) then
    raise exception using errcode = 'RF013', message = 'the node that is to win is neither this one nor the peer',
      detail = format('%s; this is %s, the peer %s.', v_node, (select n.name from rowferry.node n), p_entity.peer), hint = 'Name one of the two.';
  end if;
  if p_entity.orphan_rule not in ('hold', 'drop', 'revive') then
    raise exception using errcode = 'RF013', message = 'no such orphan rule', detail = format('%L.', p_entity.orphan_rule),
      hint = 'hold (both changes wait for a person), drop (the row goes, as its parent did) or revive (the parent comes back).';
  end if;
  if p_entity.truncate_rule not in ('refuse', 'propagate') then
    raise exception using errcode = 'RF013', message = 'no such truncate rule', detail = format('%L.', p_entity.truncate_rule),
      hint = 'refuse, or propagate (TRUNCATE deletes the rows on the other node too, once approved).';
  end if;
  if p_entity.trigger_rule not in ('guard', 'fire') then
    raise exception using errcode = 'RF013', message = 'no such rule for triggers', detail = format('%L.', p_entity.trigger_rule),
      hint = 'guard (a trigger runs for rows of the peer if it is ENABLE ALWAYS) or fire (each does).';
  end if;
  if p_entity.direction not in ('both', 'send', 'receive') then
    raise exception using errcode = 'RF013', message = 'no such direction', detail = format('%L.', p_entity.direction),
      hint = 'both, send (only this node''s rows go to the peer) or receive (only the peer''s rows come).';
  elsif p_entity.direction <> 'both' and (p_entity.orphan_rule <> 'hold' or p_entity.conflict_rule <> 'newest') then
    raise exception using errcode = 'RF013', message = 'rows that go one way only need no conflict rule and no orphan rule',
      detail = format('%s, with the rules %s and %s.', p_entity.direction, p_entity.conflict_rule, p_entity.orphan_rule), hint = 'Leave p_conflict_rule and p_orphan_rule out; of an attached table that has others: p_conflict_rule => ''newest'', p_orphan_rule => ''hold''.';
  elsif p_entity.filter_left not in ('delete', 'keep') then
    raise exception using errcode = 'RF013', message = 'no such rule for rows that leave the filter', detail = format('%L.', p_entity.filter_left),
      hint = 'delete (the peer''s row goes) or keep (it stays there as it was last in the filter).';
  elsif p_entity.inbound is not null and p_entity.on_apply is not null then
    raise exception using errcode = 'RF013', message = 'an inbound function and a handler cannot both have a say in what is written', detail = format('%s, %s.', p_entity.inbound, p_entity.on_apply),
      hint = 'The handler gets rows as they travel and may write what it likes: give p_on_apply or p_inbound, and '''' for the one that an attached table has and is to lose.';
  elsif p_entity.outbound is not null and p_entity.inbound is null and p_entity.on_apply is null and p_entity.direction <> 'send' then
    raise exception using errcode = 'RF013', message = 'rows of the view cannot be written to the table by themselves', detail = format('%s.', p_entity.outbound),
      hint = format('p_inbound => a function (p_rows %s[]) that returns rows of %s, or p_direction => ''send''.', p_entity.outbound, p_entity.relation);
  elsif p_entity.inbound is not null then
    perform rowferry._check_inbound(p_entity);
  elsif p_entity.on_apply is not null then
    perform rowferry._check_handler(p_entity);
  end if;
  if v_merge is null then
    return;
  end if;
  if v_names is null then
    raise exception using errcode = 'RF013', message = 'a merge function is named with its schema', detail = format('%L.', v_merge), hint = 'merge:billing.merge_account';
  end if;
  if not rowferry._merges_here(p_entity.peer) then
    return;
  end if;
  v_function := (
    select rowferry._find_user_function(v_merge, array_to_string(array[t.reltype, t.reltype], ' ')::oidvector) from pg_class t where t.oid = (select rowferry._travelling_relation(p_entity)));
  if v_function.oid is null or v_function.proretset or v_function.prorettype <> v_function.proargtypes[0] then
    raise exception using errcode = 'RF013', message = 'there is no such merge function',
      detail = format('%1$s(mine %2$s, theirs %2$s) returns %2$s', v_merge, rowferry._travelling_relation(p_entity)),
      hint = 'It gets this node''s row and the other''s, null where it was deleted, and returns the row that both get, or null to delete it.';
  elsif v_function.proisstrict then
    raise exception using errcode = 'RF013', message = 'a merge function must be called on null too', detail = format('%s is strict.', v_function.oid::regprocedure),
      hint = format('A row is null where it was deleted: alter function %s called on null input;', v_function.oid::regprocedure);
  elsif not has_function_privilege((select t.relowner from pg_class t where t.oid = p_entity.relation), v_function.oid, 'execute') then
    raise exception using errcode = 'RF013', message = 'the owner of the table may not execute the merge function', detail = format('%s.', v_function.oid::regprocedure),
      hint = format('grant execute on function %s to %I;', v_function.oid::regprocedure,
        (select pg_get_userbyid(t.relowner) from pg_class t where t.oid = p_entity.relation));
  end if;
end
$$;
comment on function rowferry._check_rules(rowferry.entities) is 'Refuses conflict and orphan rules that are none.';
