-- What the next batch would send, read as a batch is, without sending: events that are in flight are left out; what a build would queue first (chunks of a backfill,
-- questions) is not there yet, and the breaker is not asked, which may hold deletes back. p_limit: events; parents of the rows come on top.
create or replace function rowferry.preview(
  p_limit integer default 20,
  p_peer text default null
)
returns table (
  entity text,
  record_id text,
  operation text,
  events bigint,
  "row" jsonb,
  note text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
  v_link rowferry.links := rowferry._link(p_peer);
  v_batch record;
  v_section rowferry._section;
begin
  select * into v_batch from rowferry._read_batch(v_link.peer, greatest(1, p_limit), false, v_link.first_id,
    coalesce((select range_agg(i) from rowferry.waiting_runs r join rowferry.entities e on e.id = r.entity_id and e.held_until = 'infinity' cross join lateral unnest(r.ids) i), '{}'));
  foreach v_section in array v_batch.o_sections loop
    return query
    select v_section.entity, k.record_id, k.operation, e.events, r."row", null::text
    from (
      select unnest(v_section.keys), 'upsert' union all select unnest(v_section.gone), 'gone' union all select unnest(v_section.asked), 'question'
    ) k (record_id, operation)
    left join rowferry._rows(v_section.columns, v_section.keys, v_section.column_values) r on r.record_id = k.record_id
    left join (
      select v.key, count(*) as events, min(v.id) as first_id from unnest(v_section.event_keys, v_section.event_ids) v (key, id) group by v.key
    ) e on e.key = k.record_id
    order by e.first_id;
  end loop;
  return query
  select u ->> 'entity', u ->> 'record_id', 'held', null::bigint, null::jsonb, u ->> 'message'
  from jsonb_array_elements(v_batch.o_unreadable || v_batch.o_large) u;
end
$$;
comment on function rowferry.preview(integer, text) is 'What the next batch would send, without sending: each record with its present row. held: it cannot be read, or is large and travels alone.';
revoke all on function rowferry.preview(integer, text) from public;
