create or replace function rowferry.row_status(
  p_entity text,
  p_record_id text
)
returns table (
  entity text,
  record_id text,
  state text,
  hash text,
  pending bigint,
  attempts integer,
  last_error text,
  last_conflict text,
  detail text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set array_nulls = on
set quote_all_identifiers = off
set jit = off
set lock_timeout = '2s'
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
  v_link rowferry.links := (select l from rowferry.links l where l.peer = v_entity.peer);
  v_row record;
  v_waits record;
  v_told boolean;
  v_skip rowferry.skips;
  v_lacked bigint;
begin
  v_row := rowferry._present_row(v_entity, p_record_id);
  entity := v_entity.name;
  record_id := v_row.o_record_id;
  if not v_row.o_unreadable then
    execute format('select o_hashes[1] from rowferry.%I($1, null, true)', rowferry._generated_name('hash_', v_entity.name)) into hash using array[p_record_id];
    perform rowferry._left_nothing();
  end if;
  select count(*) as pending, min(e.id) as id, coalesce(bool_or(e.event_type = 'q'), false)
      or exists (select from rowferry.skips s
        where s.done_at is null and s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(v_row.o_record_id)) as asked,
    greatest(max(h.attempts), case when count(*) > 0 then v_entity.held_attempts end) as attempts,
    coalesce(bool_or(h.sqlstate = 'RF023'), false) as merges, coalesce(bool_or(h.parent_record_id is not null), false) as waits,
    case when count(*) > 0 then coalesce(v_entity.held_error, (array_agg(h.last_error order by h.last_at desc nulls last))[1]) end as error
  into v_waits
  from rowferry.events e
  left join rowferry.held_events h on h.event_id = e.id
  where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = rowferry._index_key(v_row.o_record_id);
  select s.* into v_skip
  from rowferry.skips s
  where s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(v_row.o_record_id) and s.ended_at is null
  order by s.id desc limit 1;
  v_told := exists (select from rowferry.taken_batches t cross join lateral jsonb_array_elements(t.conflicts) g
    where t.peer = v_entity.peer and g ->> 'entity' = v_entity.name and v_row.o_record_id = any ((g ->> 'records')::text[]));
  v_lacked := (
    select count(*)
    from rowferry.missing_parents m
    join rowferry.held_events h
      on h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null
    where m.entity_id = v_entity.id and rowferry._index_key(m.record_id) = rowferry._index_key(v_row.o_record_id) and not m.came);
  pending := v_waits.pending;
  attempts := coalesce(v_waits.attempts, 0);
  last_error := v_waits.error;
  last_conflict := (
    select format('%s: %s won by rule %s, conflict %s', to_char(c.decided_at, 'YYYY-MM-DD HH24:MI:SS'), c.winner, c.rule, c.id)
    from rowferry.conflicts c
    where c.entity = v_entity.name and rowferry._index_key(c.record_id) = rowferry._index_key(v_row.o_record_id)
    order by c.id desc limit 1);
  if v_waits.merges or v_told then
    state := 'in conflict';
    detail := format(case when v_waits.merges then '%s is to merge both rows' else 'decided here, %s is told with the next exchange' end, v_entity.peer);
  elsif v_waits.asked or v_skip.id is not null and not v_skip.kept then
    state := 'waiting to come';
    detail := format('the change was given up, and %1$s was asked for its row; if %1$s has given up its answer too: '
        || 'select * from rowferry.replay(%2$L, %3$L);  -- on %1$s',
      v_entity.peer, v_entity.name, record_id);
  elsif attempts > 0 or v_waits.waits or pending > 0 then
    state := case when attempts > 0 or v_waits.waits then 'held' else 'waiting to go' end;
    detail := 'waits for ' || rowferry._waits_for(v_entity, v_row.o_record_id, v_waits.id);
  elsif v_skip.kept then
    state := 'different on purpose';
    detail := format('%s: skip %s of %s at %s%s. It ends when the record changes or select * from rowferry.replay(%L, %L); has sent it',
      v_skip.outcome, v_skip.id, v_skip.requested_by, to_char(v_skip.requested_at, 'YYYY-MM-DD HH24:MI:SS'), ', ' || v_skip.reason, v_entity.name, record_id);
  elsif v_lacked > 0 and v_row.o_row is not null then
    state := 'missing there';
    detail := format('nothing of it waits here, and %s refused rows because it lacks this one; %s of them wait: select * from rowferry.replay(%L, %L);',
      v_entity.peer, v_lacked, v_entity.name, record_id);
  elsif v_row.o_row is null and not v_row.o_unreadable and rowferry._is_outside(v_entity, v_row.o_record_id) then
    state := 'outside of the filter';
    detail := format('the row is in %1$s, but is this node''s own and not kept in sync: only rows%2$s%3$s are; for what waits on %4$s: '
        || 'select * from rowferry.row_status(%5$L, %6$L);  -- on %4$s',
      v_entity.relation, ' with ' || v_entity.filter, (select format(' whose row of %s is kept in sync', p.relation) from rowferry.entities p
        where p.name = v_entity.within), v_entity.peer, v_entity.name, record_id);
  else
    state := case when v_row.o_row is null then 'gone' else 'in sync' end;
    detail := format('nothing waits here, as of the exchange at %1$s; for what waits on %2$s, and the hash to compare: '
        || 'select * from rowferry.row_status(%3$L, %4$L);  -- on %2$s',
      coalesce(to_char(v_link.last_exchange_at, 'YYYY-MM-DD HH24:MI:SS'), 'no time yet'), v_entity.peer, v_entity.name, record_id);
  end if;
  return next;
end
$$;
comment on function rowferry.row_status(text, text) is
  'The state of one record, as far as this node knows; only the other node knows what waits there. The hash is the same on both nodes if the rows are equal. '
  'p_entity is the name of the entity or of its table; the key is given as text, a key of several columns as an array of texts. The state is the first of '
  'these that holds: in conflict (the other node is to merge both rows, or does not know yet what was decided here); waiting to come (this node gave its '
  'change up and asks for the other node''s row); held (refused, or waits for its parent); waiting to go; different on purpose (a skip kept the row here, '
  'which the other node does not have); missing there (the other node lacks it, and nothing of it waits here); outside of the '
  'filter (the row is here, but is not kept in sync); gone; in sync.';
