-- concat() calls the output function of the type and never a cast: capture runs with more rights than whoever may make a cast for a type. Capture also runs
-- with the search_path of its caller, so every name is qualified.
create or replace function rowferry._record_id_sql(
  p_entity rowferry.entities,
  p_alias text,
  p_unaltered boolean default false
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select case when count(*) = 1 then min(k.text) else 'array[' || string_agg(k.text, ', ' order by k.key_position) || ']::pg_catalog.text' end
  from (
    select c.key_position,
      format(case c.type
        when 'numeric' then 'pg_catalog.trim_scale(pg_catalog.concat(%s)::pg_catalog.numeric)::pg_catalog.text'
        when 'bpchar' then 'pg_catalog.rtrim(pg_catalog.concat(%s))'
        when 'boolean' then 'case when pg_catalog.concat(%s) operator(pg_catalog.=) ''t'' then ''true'' else ''false'' end'
        else 'pg_catalog.concat(%s)' end,
        case when not p_unaltered then format('%s.%I', p_alias, c.local)
          -- The base type stands for a domain or an enum, whose schema may be closed to capture. The null beside the value of a domain has no type, so that no
          -- cast is called.
          when b.typtype = 'e' then format('pg_catalog.enum_out(%s.%I)', p_alias, c.local)
          when t.typtype = 'd' then format('rowferry._unaltered(coalesce(%s.%I, null), null::pg_catalog.%I)', p_alias, c.local, b.typname)
          else format('rowferry._unaltered(%s.%I, null::pg_catalog.%I)', p_alias, c.local, b.typname) end) as text
    from rowferry._entity_columns(p_entity) c
    join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local
    join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = c.type_oid
    where c.key_position is not null
  ) k);
end
$$;
comment on function rowferry._record_id_sql(rowferry.entities, text, boolean) is
  'SQL expression for the record_id of a row: the text of its key, or of an array if the key has several columns, with one spelling for equal values. With '
  'p_unaltered the statement fails if a column of the key has another type by now.';
