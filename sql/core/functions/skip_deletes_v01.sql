-- Gives the deletes up that wait for approve(): the rows come back from the other node, as after skip(). All else that waits with them goes on.
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
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._awaiting(p_entity);
  v_keys text[];
  v_read record;
begin
  v_keys := array(select distinct e.record_id from rowferry.events e where e.entity_id = v_entity.id and e.event_type = 'd');
  execute format('select * from rowferry.%I($1, -1)', rowferry._object_name('read_', v_entity.name)) into v_read using v_keys;
  with gone as (
    select k.record_id from unnest(v_keys) k (record_id)
    except
    select k.record_id from unnest(v_read.o_keys || v_read.o_cut || v_read.o_large || v_read.o_alone) k (record_id)
  ), made as (
    insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by)
    select v_entity.peer, v_entity.id, v_entity.name, e.record_id, range_agg(int8range(e.id, e.id, '[]')), p_reason, v_entity.held_error,
      rowferry._now(), session_user
    from rowferry.events e
    join gone g on g.record_id = e.record_id
    where e.entity_id = v_entity.id and e.event_type <> 'q'
      and not exists (select from rowferry.skips s where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id and e.id <@ s.ids)
    group by e.record_id
    returning 1
  )
  select count(*) into records from made;
  delete from rowferry.breakers b where b.entity_id = v_entity.id;
  perform rowferry._end_wait(v_entity.id);
  entity := v_entity.name;
  state := format('given up; the rows of %s come back with the next exchanges', v_entity.peer);
  return next;
end
$$;
comment on function rowferry.skip_deletes(text, text) is 'Gives deletes up that wait for approval: the rows come back from the other node. Logged in rowferry.skips.';
revoke all on function rowferry.skip_deletes(text, text) from public;
