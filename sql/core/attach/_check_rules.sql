create or replace function rowferry._check_rules(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_here constant text := (select n.name from rowferry.node n);
  v_node constant text := substring(p_entity.conflict_rule from '^node:(.+)$');
  v_wrong record;
begin
  select r.* into v_wrong
  from (values
    (1, 'no such conflict rule', case when p_entity.conflict_rule ~ '^(node|merge):.' then 'newest' else p_entity.conflict_rule end, '{newest}'::text[],
      'newest, node:crm (this node always wins) or merge:billing.merge_account (a function of yours).'),
    (2, 'no such orphan rule', p_entity.orphan_rule, '{hold,drop,revive}',
      'hold (both changes wait for a person), drop (the row goes, as its parent did) or revive (the parent comes back).'),
    (3, 'no such truncate rule', p_entity.truncate_rule, '{refuse,propagate}',
      'refuse, or propagate (TRUNCATE deletes the rows on the other node too, once approved).'),
    (4, 'no such rule for triggers', p_entity.trigger_rule, '{guard,fire}',
      'guard (a trigger runs for rows of the peer if it is ENABLE ALWAYS) or fire (each does).'),
    (5, 'no such direction', p_entity.direction, '{both,send,receive}',
      'both, send (only this node''s rows go to the peer) or receive (only the peer''s rows come).'),
    (6, 'no such rule for rows that leave the filter', p_entity.filter_left, '{delete,keep}',
      'delete (the peer''s row goes) or keep (it stays there as it was last in the filter).')) r (ord, message, value, allowed, hint)
  where r.value <> all (r.allowed)
  order by r.ord
  limit 1;
  if found then
    raise exception using errcode = 'RF013', message = v_wrong.message, detail = format('%L.', v_wrong.value), hint = v_wrong.hint;
  elsif v_node <> p_entity.peer and v_node <> v_here then
    raise exception using errcode = 'RF013', message = 'the node that is to win is neither this one nor the peer',
      detail = format('%s; this is %s, the peer %s.', v_node, v_here, p_entity.peer), hint = 'Name one of the two.';
  elsif p_entity.direction <> 'both' and (p_entity.orphan_rule <> 'hold' or p_entity.conflict_rule <> 'newest') then
    raise exception using errcode = 'RF013', message = 'rows that go only one way need no conflict rule and no orphan rule',
      detail = format('%s, with the rules %s and %s.', p_entity.direction, p_entity.conflict_rule, p_entity.orphan_rule),
      hint = 'Leave p_conflict_rule and p_orphan_rule out; of an attached table that has others: p_conflict_rule => ''newest'', p_orphan_rule => ''hold''.';
  elsif p_entity.inbound is not null and p_entity.on_apply is not null then
    raise exception using errcode = 'RF013', message = 'an inbound function and a handler cannot both have a say in what is written',
      detail = format('%s, %s.', p_entity.inbound, p_entity.on_apply),
      hint = 'The handler gets rows as they travel and may write what it likes. Give p_on_apply or p_inbound; the other one, of an attached table, as ''''.';
  elsif p_entity.outbound is not null and p_entity.inbound is null and p_entity.on_apply is null and p_entity.direction <> 'send' then
    raise exception using errcode = 'RF013', message = 'rows of the view cannot be written to the table by themselves',
      detail = format('%s.', p_entity.outbound),
      hint = format('p_inbound => a function (p_rows %s[]) that returns rows of %s, or p_direction => ''send''.', p_entity.outbound, p_entity.relation);
  end if;
  perform rowferry._check_user_functions(p_entity);
end
$$;
comment on function rowferry._check_rules(rowferry.entities) is
  'Raises the reason why an entity cannot have its rules, or the functions of the user''s that it names.';
