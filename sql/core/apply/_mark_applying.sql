-- Tells the capture functions, in this transaction only, which rows come from the peer and need no event: these keys, or all that is written to the tables
-- of these entities (p_sections null: nothing else can write them meanwhile). What was marked before is so no more.
create or replace function rowferry._mark_applying(
  p_entities text[],
  p_sections rowferry._section[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowferry.applying (transaction_id, entity_id, hops, keys)
  values (pg_current_xact_id(), 0, 1, '{}')
  on conflict (transaction_id, entity_id) do update set hops = excluded.hops;
  if p_sections is null then
    insert into rowferry.applying (transaction_id, entity_id, hops)
    select pg_current_xact_id(), e.id, 1
    from rowferry.entities e where e.name = any (p_entities)
    on conflict (transaction_id, entity_id) do update set hops = excluded.hops, keys = excluded.keys;
  else
    insert into rowferry.applying (transaction_id, entity_id, hops, keys)
    select pg_current_xact_id(), e.id, 1, array_agg(k)
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities e on e.name = (p_sections[i]).entity
    cross join lateral unnest((p_sections[i]).keys || (p_sections[i]).gone) k
    group by e.id
    on conflict (transaction_id, entity_id) do update set hops = excluded.hops, keys = excluded.keys;
  end if;
  perform set_config('rowferry.applying', 'on', true);
end
$$;
comment on function rowferry._mark_applying(text[], rowferry._section[]) is 'Marks the rows that are about to be applied.';
