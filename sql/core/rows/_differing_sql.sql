-- The function that says which rows of an entity are not stored as they were sent, as DDL: what its shape makes of them now is compared with what came.
create or replace function rowferry._differing_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%1$I(
  p_columns text[],
  p_keys text[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $rowferry$
#variable_conflict use_column
begin
%2$s  return (
    select array_agg(p.record_id)
    from unnest($2) with ordinality p (record_id, ord)
    join (
      select u.ord, row(%3$s)::record, row(%4$s)::record, t.%5$I is null
      from rows from (%6$s) with ordinality u (%7$s, ord)
      left join %8$s t on %9$s
    ) d (ord, stored, sent, missing) using (ord)
    where d.missing or d.stored *<> d.sent
  );
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$, rowferry._generated_name('differing_', p_entity.name), rowferry._read_only_sql(p_entity) || rowferry._users_check_sql(p_entity),
    string_agg(format('t.%I::%s', c.local, c.type), ', ' order by c.place),
    string_agg(format('%s::%s', c.value, c.full_type), ', ' order by c.place),
    min(c.local) filter (where c.key_position = 1),
    string_agg(format('pg_catalog.unnest(($1[%s])::%s[])', c.place, case when c.typed then c.type else 'text' end), ', ' order by c.place),
    string_agg('c' || c.place, ', ' order by c.place),
    rowferry._only_sql(p_entity, true),
    string_agg(format('t.%I operator(pg_catalog.=) %s', c.local, c.value), ' and ' order by c.key_position) filter (where c.key_position is not null))
  from (
    select e.*, format(case when e.typed then 'u.c%s' else 'u.c%s::%s' end, e.place, e.type) as value
    from rowferry._entity_columns(p_entity) e
  ) c
$function$;
comment on function rowferry._differing_sql(rowferry.entities) is 'DDL of the function that says which rows are not stored as they were sent.';
