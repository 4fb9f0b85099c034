create or replace function rowferry._mark_applying(
  p_sections rowferry._section[]
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- a plan for each value would copy the value
as $$
declare
  -- To look whether anything else can write these tables costs as much as to compare the keys of a few hundred records.
  v_everything constant boolean := exists (
    select from generate_subscripts(p_sections, 1) i where cardinality((p_sections[i]).keys) > 200 or cardinality((p_sections[i]).gone) > 200)
    and not rowferry._may_differ(array(select (p_sections[i]).entity from generate_subscripts(p_sections, 1) i));
begin
  insert into rowferry.applying (transaction_id, entity_id, hops, keys)
  select pg_current_xact_id(), 0, 1, array(select e.peer from rowferry.entities e where e.name = (p_sections[1]).entity)
  union all
  select pg_current_xact_id(), e.id, 1, case when not v_everything then array_agg(k) end
  from generate_subscripts(p_sections, 1) i
  join rowferry.entities e on e.name = (p_sections[i]).entity
  -- Of a table of which everything is marked, no key is needed.
  cross join lateral unnest(case when v_everything then array[''] else (p_sections[i]).keys || (p_sections[i]).gone end) k
  where coalesce((p_sections[i]).keys, (p_sections[i]).gone) is not null
  group by e.id
  on conflict (transaction_id, entity_id) do update set hops = excluded.hops, keys = excluded.keys;
  return v_everything;
end
$$;
comment on function rowferry._mark_applying(rowferry._section[]) is
  'Tells the capture functions, in this transaction only, which rows the peer sent, so that they need no event: the keys of these sections, or, if nothing '
  'else can write their tables, everything that is written to these tables (it returns true then). Rows that were marked before are no longer marked.';
