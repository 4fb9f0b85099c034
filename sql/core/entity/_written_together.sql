create or replace function rowferry._written_together(
  p_entities rowferry.entities[]
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select count(distinct c.relowner) = 1 and count(distinct c.relnamespace) = 1 and bool_and(e.on_apply is null and e.inbound is null and e.outbound is null)
  from unnest(p_entities) e
  join pg_class c on c.oid = e.relation
$$;
comment on function rowferry._written_together(rowferry.entities[]) is
  'Whether one statement may write the rows of several entities: each would have the same rights and the same search_path by itself.';
