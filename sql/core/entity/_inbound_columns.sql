create or replace function rowferry._inbound_columns(
  p_entity rowferry.entities
)
returns table (
  name text,
  type oid
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with function as (
    select p.*, y.typrelid
    from pg_type t
    cross join lateral rowferry._find_user_function(p_entity.inbound, t.typarray::text::oidvector) p
    join pg_type y on y.oid = p.prorettype
    where t.typrelid = (select rowferry._travelling_relation(p_entity)) and p.proretset
  )
  select a.attname::text, a.atttypid
  from function f
  join pg_attribute a on a.attrelid = f.typrelid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and f.typrelid <> 0
  union all
  select o.name, o.type
  from function f
  cross join lateral unnest(f.proargnames, f.proallargtypes, f.proargmodes) o (name, type, mode)
  where f.typrelid = 0 and o.mode in ('t', 'o')
$$;
comment on function rowferry._inbound_columns(rowferry.entities) is
  'Names and types of the columns that an entity''s inbound function returns, as its declaration has them or as its composite type or table has.';
