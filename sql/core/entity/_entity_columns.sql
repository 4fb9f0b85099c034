create or replace function rowferry._entity_columns(
  p_entity rowferry.entities
)
returns table (
  place integer,
  name text,
  local text,
  key_position integer,
  type text,
  full_type text,
  typed boolean,
  output text,
  lossy boolean,
  in_unique boolean,
  insert_only boolean,
  type_oid oid
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  -- The generators ask again and again, so this is PL/pgSQL, which plans the query once in a session.
  v_shape constant oid := case when p_entity.outbound is null then p_entity.relation else rowferry._travelling_relation(p_entity) end;
begin
  return query
  select c.ord::integer, c.name, c.local,
    array_position(p_entity.key_columns, c.name),
    format_type(t.oid, -1),
    format_type(t.oid, case when b.typmod >= 0 then b.typmod else -1 end),
    t.typcategory <> 'A' and t.typtype <> 'c' and t.typarray <> 0 and t.typdelim = ',',
    format('%I.%I', n.nspname, o.proname),
    b.typmod >= 0 and t.oid <> 'bpchar'::regtype,
    exists (
      select from pg_index i
      where i.indrelid = a.attrelid and (i.indisunique or i.indisexclusion) and (a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
        -- The column may also be used in its expressions or condition, or by a generated column of it.
        or exists (
          select from pg_depend u
          left join pg_attrdef g on u.classid = 'pg_attrdef'::regclass and g.oid = u.objid
          where u.refclassid = 'pg_class'::regclass and u.refobjid = a.attrelid and u.refobjsubid = a.attnum and case
            when u.classid = 'pg_class'::regclass and u.objsubid = 0 then u.objid = i.indexrelid and (i.indexprs is not null or i.indpred is not null)
            else coalesce(g.adnum, u.objsubid) = any (i.indkey[0:i.indnkeyatts - 1]) and coalesce(g.adrelid, u.objid) = a.attrelid end))
    ),
    a.attidentity = 'a',
    t.oid
  from unnest(p_entity.columns, p_entity.local_columns) with ordinality c (name, local, ord)
  join pg_attribute a on a.attrelid = v_shape and a.attname = c.local and not a.attisdropped
  join pg_type s on s.oid = a.atttypid
  cross join lateral rowferry._base_type(case when s.typtype = 'd' then s.oid end, a.atttypmod) d
  cross join lateral (values (coalesce(d.o_type, s.oid), case when d.o_type is null then a.atttypmod else d.o_typmod end)) b (oid, typmod)
  join pg_type t on t.oid = b.oid and t.typtype <> 'd'
  join pg_proc o on o.oid = t.typoutput
  join pg_namespace n on n.oid = o.pronamespace
  order by c.ord;
end
$$;
comment on function rowferry._entity_columns(rowferry.entities) is
  'Each travelling column of an entity with what the generated functions need to know of it: its type, whether its values travel as a typed array (the '
  'fast way) or one by one as text, and how it takes part in keys. type_oid finds a type whose schema is closed to the caller.';
