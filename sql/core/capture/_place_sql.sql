create or replace function rowferry._place_sql(
  p_entity rowferry.entities,
  p_row text
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select format('case when not (%s) then null::pg_catalog.text[] when %s then array[%s] else array[]::pg_catalog.text[] end',
    string_agg(format('pg_catalog.pg_typeof(%s)::pg_catalog.oid operator(pg_catalog.=) %s::pg_catalog.oid', k.value, k.type), ' and ' order by k.place),
    string_agg(format('%s is not null', k.value), ' and ' order by k.place),
    case when count(*) = 1 then min(k.text) else format('array[%s]::pg_catalog.text', string_agg(k.text, ', ' order by k.place)) end)
  from (
    select c.key_position as place, v.value, a.atttypid as type,
      format(case c.type when 'numeric' then 'pg_catalog.trim_scale(pg_catalog.concat(%s)::pg_catalog.numeric)::pg_catalog.text'
        when 'boolean' then 'case when pg_catalog.concat(%s) operator(pg_catalog.=) ''t'' then ''true'' else ''false'' end'
        else 'pg_catalog.concat(%s)' end, v.value) as text,
      f.type_oid = any (case
        when c.type in ('smallint', 'integer', 'bigint') then '{int2,int4,int8}'
        when c.type = 'numeric' then '{int2,int4,int8,numeric}'
        when c.type in ('text', 'character varying') then '{text,varchar}'
        when c.type in ('boolean', 'uuid', 'date', 'timestamp without time zone', 'timestamp with time zone') or b.typtype = 'e'
          then array[c.type_oid]::regtype[]
        end::regtype[]) as fits
    from rowferry.entities p
    cross join lateral rowferry._entity_columns(p) c
    join pg_type b on b.oid = c.type_oid
    left join unnest(p_entity.within_columns, p_entity.within_parent_columns) w (child, parent) on w.parent = c.local
    left join rowferry._entity_columns(p_entity) f on f.local = w.child
    left join pg_attribute a on a.attrelid = p_entity.relation and a.attname = w.child
    cross join lateral (select concat(p_row || '.', quote_ident(w.child))) v (value)
    where p.name = p_entity.within and c.key_position is not null
  ) k
  having bool_and(coalesce(k.fits, false)));
end
$$;
comment on function rowferry._place_sql(rowferry.entities, text) is
  'SQL expression for the place of a row that follows a parent: the parent''s record_id in an array, {} if its foreign key is null, or null if the row does '
  'not tell it (the foreign key refers to other columns than the parent''s key, or to a type that is spelled otherwise, or a column was altered). No code of '
  'users runs. The result is null for an entity of which no row can tell it. If p_row is null, the columns are written without a row''s name.';
