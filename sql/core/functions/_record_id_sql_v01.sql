-- SQL expression for the record_id of a row: the key's text, one spelling for one value; several columns as an array's text. concat()
-- calls the type's output function, never a cast: capture runs with more rights than whoever may make a cast for a type.
create or replace function rowferry._record_id_sql(
  p_entity rowferry.entities,
  p_alias text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when count(*) = 1 then min(k.text) else 'array[' || string_agg(k.text, ', ' order by k.key_position) || ']::text' end
  from (
    select c.key_position,
      format(case c.type
        when 'numeric' then 'pg_catalog.trim_scale(pg_catalog.concat(%s.%I)::pg_catalog.numeric)::text'
        when 'bpchar' then 'pg_catalog.rtrim(pg_catalog.concat(%s.%I))'
        when 'boolean' then 'case pg_catalog.concat(%s.%I) when ''t'' then ''true'' else ''false'' end'
        else 'pg_catalog.concat(%s.%I)' end, p_alias, c.local) as text
    from rowferry._entity_columns(p_entity) c
    where c.key_position is not null
  ) k
$$;
comment on function rowferry._record_id_sql(rowferry.entities, text) is 'SQL expression for the record_id of a row.';
revoke all on function rowferry._record_id_sql(rowferry.entities, text) from public;
