-- A row of this node that the foreign key of a deleted one has just taken or changed (on delete cascade, set null, set default), although the peer has not deleted it and its change is still to
-- come: of the entities p_waiting (null: of any). Null: none. Not a row that this node's users changed meanwhile: that is a conflict. p_after: last event before the batch was written.
create or replace function rowferry._taken_along(
  p_sections rowferry._section[],
  p_waiting text[],
  p_after bigint,
  p_heard int8multirange,
  out o_entity text,
  out o_record_id text
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
begin
  with recursive reached (relation, further) as (
    select e.relation::oid, true
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities e on e.name = (p_sections[i]).entity
    where (p_sections[i]).gone is not null
    union
    select f.conrelid, f.confdeltype = 'c'
    from reached r
    join pg_constraint f on f.confrelid = r.relation and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd')
    where r.further
  )
  select n.name, c.record_id into o_entity, o_record_id
  from rowferry.events c
  join rowferry.entities n on n.id = c.entity_id
  where c.id > p_after and c.hops > 0 and c.event_type in ('d', 'u') and n.name = any (coalesce(p_waiting, array[n.name]))
    and exists (
      select from reached r
      join pg_constraint f on f.confrelid = r.relation and f.conrelid = n.relation and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd')
      where r.further)
    and not exists (
      select from rowferry.events o
      where o.entity_id = c.entity_id and rowferry._index_key(o.record_id) = rowferry._index_key(c.record_id) and o.id <> c.id and o.hops = 0 and o.event_type in ('i', 'u')
        and not o.id <@ p_heard)
  limit 1;
end
$$;
comment on function rowferry._taken_along(rowferry._section[], text[], bigint, int8multirange) is 'A row that a delete has taken along although its change is still to come.';
revoke all on function rowferry._taken_along(rowferry._section[], text[], bigint, int8multirange) from public;
