-- Events of rows that moved (type w) and are to be looked at, oldest first: not those whose followers are queued in portions already, and not those that are skipped.
create or replace function rowferry._moved(
  p_entity_ids integer[],
  p_limit integer
)
returns table (
  id bigint,
  entity_id integer,
  record_id text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select e.id, e.entity_id, e.record_id
  from rowferry.events e
  where e.event_type = 'w' and e.entity_id = any (p_entity_ids)
    and not exists (select from rowferry.moves m where m.event_id = e.id)
    and not exists (select from rowferry.skips s
      where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids)
  order by e.id
  limit p_limit
$$;
comment on function rowferry._moved(integer[], integer) is 'Events of rows that moved and are to be looked at, oldest first.';
