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
      'Choose newest, node:crm (crm wins whatever the time) or merge:billing.merge_account (your function merges both rows).'),
    (2, 'no such orphan rule', p_entity.orphan_rule, '{hold,drop,revive}',
      'Choose hold (both changes wait for a person), drop (the row is deleted, as its parent was) or revive (the parent is written again).'),
    (3, 'no such truncate rule', p_entity.truncate_rule, '{refuse,propagate}',
      'Choose refuse or propagate (TRUNCATE deletes the rows on the other node too, once approved).'),
    (4, 'no such rule for triggers', p_entity.trigger_rule, '{guard,fire}',
      'Choose guard (for rows of the peer only ENABLE ALWAYS triggers run) or fire (all triggers run).'),
    (5, 'no such direction', p_entity.direction, '{both,send,receive}',
      'Choose both, send (this node only sends its rows to the peer) or receive (this node only takes the peer''s rows).'),
    (6, 'no such rule for rows that leave the filter', p_entity.filter_left, '{delete,keep}',
      'Choose delete (the peer''s row is deleted) or keep (it stays on the peer as it was when it was last in the filter).')
  ) r (ord, message, value, allowed, hint)
  where r.value <> all (r.allowed)
  order by r.ord
  limit 1;
  if found then
    raise exception using errcode = 'RF013', message = v_wrong.message, detail = format('%L.', v_wrong.value), hint = v_wrong.hint;
  elsif p_entity.direction <> 'send' and rowferry._is_outbox(p_entity.peer) then
    raise exception using errcode = 'RF013', message = 'an outbox only takes rows', detail = format('%s is an outbox.', p_entity.peer),
      hint = 'Leave p_direction out: for an outbox it is send.';
  elsif rowferry._topic_of(p_entity) !~ '^[A-Za-z0-9._-]+$' and rowferry._is_outbox(p_entity.peer) then
    raise exception using errcode = 'RF013', message = 'the entity''s name cannot be part of a topic''s name', detail = format('%s.', p_entity.name),
      hint = 'Give it a name of letters, digits, dots, dashes and underscores with p_entity.';
  elsif rowferry._is_outbox(p_entity.peer) and exists (
    select from rowferry.entities e where e.peer = p_entity.peer and e.id <> p_entity.id and rowferry._topic_of(e) = rowferry._topic_of(p_entity)) then
    raise exception using errcode = 'RF013', message = 'another entity goes into the same topic', detail = format('%s.', p_entity.name),
      hint = 'Give it another name with p_entity.';
  elsif v_node <> p_entity.peer and v_node <> v_here then
    raise exception using errcode = 'RF013', message = 'the node that is to win is neither this one nor the peer',
      detail = format('%s; this is %s, the peer %s.', v_node, v_here, p_entity.peer), hint = 'Name one of these two nodes.';
  elsif p_entity.direction <> 'both' and (p_entity.orphan_rule <> 'hold' or p_entity.conflict_rule <> 'newest') then
    raise exception using errcode = 'RF013', message = 'rows that go only one way need no conflict rule and no orphan rule',
      detail = format('%s, with the rules %s and %s.', p_entity.direction, p_entity.conflict_rule, p_entity.orphan_rule),
      hint = 'Leave both out. If the table is attached with other rules, pass p_conflict_rule => ''newest'', p_orphan_rule => ''hold''.';
  elsif p_entity.inbound is not null and p_entity.on_apply is not null then
    raise exception using errcode = 'RF013', message = 'an inbound function and a handler cannot both have a say in what is written',
      detail = format('%s, %s.', p_entity.inbound, p_entity.on_apply),
      hint = 'Pass p_on_apply or p_inbound, not both. If the table is attached already, pass '''' for the other one.';
  elsif p_entity.outbound is not null and p_entity.inbound is null and p_entity.on_apply is null and p_entity.direction <> 'send' then
    raise exception using errcode = 'RF013',
      message = 'rowferry cannot write rows of the outbound view into the table without an inbound function or a handler',
      detail = format('%s.', p_entity.outbound),
      hint = format('Pass p_inbound => a function (p_rows %s[]) that returns rows of %s, or p_on_apply, or p_direction => ''send''.',
        p_entity.outbound, p_entity.relation);
  end if;
  perform rowferry._check_user_functions(p_entity);
end
$$;
comment on function rowferry._check_rules(rowferry.entities) is
  'Raises an error with the reason if an entity cannot have its rules, or the user''s functions that it names.';
