create or replace function rowferry._refuse_cascade(
  p_sections rowferry._section[],
  p_waiting text[],
  p_after bigint,
  p_heard int8multirange,
  p_hint text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_taken record;
begin
  -- A delete that is done before all other writes may change rows of the batch, which are written afterwards, and may delete by a cascade what the batch
  -- deletes. It may delete no other row, because that row would be made again without the columns that do not travel.
  perform rowferry._delete_events(range_agg(int8range(c.id, c.id, '[]')))
  from rowferry.events c
  join rowferry.entities n on n.id = c.entity_id
  where c.id > p_after and c.hops > 0 and rowferry._written_here(c.xmin) and case c.event_type
    when 'd' then (n.name, c.record_id) in (
      select (p_sections[i]).entity, k from generate_subscripts(p_sections, 1) i cross join lateral unnest((p_sections[i]).gone) k)
    else (n.name, c.record_id) in (
      select (p_sections[i]).entity, k from generate_subscripts(p_sections, 1) i cross join lateral unnest((p_sections[i]).keys || (p_sections[i]).gone) k) end;
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
  select n.name, c.record_id into v_taken
  from rowferry.events c
  join rowferry.entities n on n.id = c.entity_id
  where c.id > p_after and c.hops > 0 and c.event_type in ('d', 'u') and n.name = any (p_waiting) and rowferry._written_here(c.xmin)
    and exists (
      select from reached r
      join pg_constraint f on f.confrelid = r.relation and f.conrelid = n.relation and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd')
      where r.further)
    and not exists (
      select from rowferry.events o
      where o.entity_id = c.entity_id and rowferry._index_key(o.record_id) = rowferry._index_key(c.record_id)
        and o.id <> c.id and o.hops = 0 and o.event_type in ('i', 'u') and not o.id <@ p_heard)
  limit 1;
  if v_taken.record_id is not null then
    raise exception using errcode = '23503',
      message = format('its delete would take row %s of %s along, of which a change has not come yet', v_taken.record_id, v_taken.name),
      hint = coalesce(p_hint, format('You need do nothing: the delete goes once the changes of %s have gone.', v_taken.name));
  end if;
end
$$;
comment on function rowferry._refuse_cascade(rowferry._section[], text[], bigint, int8multirange, text) is
  'Raises an error if the foreign key of a deleted row has just deleted or changed a row (on delete cascade, set null, set default) that the peer has not '
  'deleted, and of whose entity changes are still to come (p_waiting). A row that this node''s users changed in the meantime is a conflict, and is not '
  'refused. p_after is the last event before the batch was written.';
