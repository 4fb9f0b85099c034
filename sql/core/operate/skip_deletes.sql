create or replace function rowferry.skip_deletes(
  p_entity text,
  p_reason text default null
)
returns table (
  entity text,
  records bigint,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set array_nulls = on
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._awaiting(p_entity);
  v_keys text[];
  v_count integer;
  v_read record;
  v_flying int8multirange;
  v_ids int8multirange;
  v_seen int8multirange;
begin
  -- No exchange may build from what is replaced here.
  perform rowferry._link_lock(v_entity.peer, true);
  -- A row that a user makes again after this statement is a change of the user's, newer than the answer to the question.
  select array_agg(distinct e.record_id) filter (where e.event_type = 'd'), range_agg(int8range(e.id, e.id, '[]')) into v_keys, v_seen
  from rowferry.events e
  where e.entity_id = v_entity.id;
  loop
    begin
      execute format('select * from rowferry.%I($1, -1)', rowferry._generated_name('read_', v_entity.name)) into v_read using v_keys;
      perform rowferry._left_nothing();
      exit;
    exception
      -- A record that cannot be read is held by itself, and not given up here.
      when data_exception then
        select array(
            select k from unnest(v_keys) k except select unnest(u.o_left) except select f ->> 'record_id' from jsonb_array_elements(u.o_found) f),
          cardinality(v_keys)
        into v_keys, v_count
        from rowferry._unreadable_records(v_entity, v_keys, -1) u;
        if cardinality(v_keys) = v_count then
          raise;
        end if;
    end;
  end loop;
  v_flying := rowferry._sent_ids(v_entity.peer, true);
  v_keys := array(
    select k from unnest(v_keys) k
    except
    select k from unnest(v_read.o_keys || v_read.o_cut || v_read.o_large || v_read.o_alone) k);
  perform rowferry._end_skips(v_entity.id, v_keys, 'given up again') where rowferry._any_skip(v_entity.id);
  with made as (
    insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by, done_at, kept, outcome)
    select v_entity.peer, v_entity.id, v_entity.name, g.record_id, g.ids, p_reason, v_entity.held_error, rowferry._now(), session_user,
      case when not g.ids && v_flying then rowferry._now() end, not g.ids && v_flying and v_entity.direction = 'send',
      case when not g.ids && v_flying and v_entity.direction = 'send'
        then format('%s keeps its row, and this node has none: different on purpose', v_entity.peer) end
    from (
      select e.record_id, range_agg(int8range(e.id, e.id, '[]')) as ids
      from rowferry._queue e
      join unnest(v_keys) k (record_id) on k.record_id = e.record_id
      where e.entity_id = v_entity.id and e.event_type <> 'q' and e.id <@ v_seen and not e.skipped
      group by e.record_id
    ) g
    returning id, record_id, ids, done_at
  ), asked as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select m.done_at, v_entity.id, 'q', m.record_id from made m where m.done_at is not null and v_entity.direction <> 'send' order by m.id
  )
  select count(*), range_agg(i) filter (where m.done_at is not null) into records, v_ids
  from made m cross join lateral unnest(m.ids) i;
  perform rowferry._delete_events(v_ids);
  -- What a comparison was to delete is asked for too, or stays there.
  with spared as (
    update rowferry.comparisons c set only_there_choice = case when v_entity.direction <> 'send' then 'there' end
    where c.peer = v_entity.peer and c.entity = v_entity.name and c.state = 'resolving' and c.only_there_choice = 'here' and c.resolved = 0
    returning c.only_there
  )
  select records + coalesce(sum(s.only_there)::bigint, 0) into records from spared s;
  delete from rowferry.breakers b where b.entity_id = v_entity.id;
  perform rowferry._end_wait(v_entity.id);
  entity := v_entity.name;
  state := format(case v_entity.direction when 'send' then 'given up; %s keeps its rows' else 'given up; the rows of %s come back with the next exchanges' end,
    v_entity.peer);
  return next;
end
$$;
comment on function rowferry.skip_deletes(text, text) is
  'Gives up the deletes of an entity that wait for approve(): the other node sends the rows again, as after skip(), and all else that waits with them is sent '
  'on. What is in flight becomes a question later, as with any skip, and all others now, in one step. It is logged in rowferry.skips.';
