-- The functions that attach() made, those of an entity or all (p_entity null), with whom they belong to and who else calls them: they differ from database to database
-- and belong to no release. The one function whose parameter is of a user's type is found by that type, whose schema may be closed to who asks.
create or replace function rowferry._generated_functions(
  p_entity text default null
)
returns table (
  function oid,
  belongs_to oid,
  caller oid,
  entity text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select p.oid, o.belongs_to, o.caller, e.name
  from rowferry.entities e
  left join pg_class c on c.oid = e.relation
  cross join lateral rowferry._entity_functions(e) f
  -- Each is looked up by its name: statistics from before attach() know of a few functions, and a plan for a few would compare all with all.
  cross join lateral (select to_regprocedure('rowferry.' || f.signature) offset 0) p (oid)
  cross join lateral (
    select case when f.of_table_owner then c.relowner else r.id end, case when f.of_table_owner then r.id else c.relowner end
    from (select 'rowferry_owner'::regrole::oid) r (id)) o (belongs_to, caller)
  where e.name = coalesce(p_entity, e.name) and p.oid is not null
$$;
comment on function rowferry._generated_functions(text) is 'Functions that attach() made, whom they belong to and who calls them.';
