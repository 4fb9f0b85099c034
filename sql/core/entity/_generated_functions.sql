-- One function has a parameter of a user's type, whose schema may be closed to the caller; it is found by the oid of the type.
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
  -- Each function is looked up by its name. Statistics made before attach() know of a few functions only, and a plan for a few would compare each with each.
  cross join lateral (select to_regprocedure('rowferry.' || f.signature) offset 0) p (oid)
  cross join lateral (
    select case when f.of_table_owner then c.relowner else r.id end, case when f.of_table_owner then r.id else c.relowner end
    from (select 'rowferry_owner'::regrole::oid) r (id)) o (belongs_to, caller)
  where e.name = coalesce(p_entity, e.name) and p.oid is not null
$$;
comment on function rowferry._generated_functions(text) is
  'The functions that attach() made, of one entity or of all, with whom each belongs to and who else calls it. They differ between databases and belong '
  'to no release.';
