-- What the functions that read an entity's rows by their keys ($1) have in common: the FROM item, the same of the table as a whole, the expression for a row's size, and first statements:
-- a row that is there and that the outbound view leaves out, whatever became of the view since, is not gone, but an error.
create or replace function rowferry._reader_parts(
  p_entity rowferry.entities,
  out o_rows text,
  out o_table_rows text,
  out o_size text,
  out o_check text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_join text;
  v_found text;
begin
  select string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) filter (where c.key_position is not null),
    -- What is stored compressed travels at its full size.
    coalesce(string_agg(format('coalesce(case when pg_column_compression(t.%1$I) is null then pg_column_size(t.%1$I) else octet_length(%2$s) end, 0)', c.local,
        format(case when c.type in ('text', 'character varying', 'bytea') then 't.%I' else 'textin(%2$s(t.%1$I))' end, c.local, c.output)), ' + ' order by c.place)
      filter (where a.attstorage <> 'p'), '0')
  into v_join, o_size
  from rowferry._entity_columns(p_entity) c
  join pg_attribute a on a.attrelid = (select rowferry._travelling_relation(p_entity)) and a.attname = c.local;
  -- A key of one column is found in one scan of its index, in order.
  v_found := coalesce((
      select format(' t where t.%I operator(pg_catalog.=) any ($1::%s[])', c.local, c.type)
      from rowferry._entity_columns(p_entity) c
      where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
    format(' t join %s on %s', rowferry._keys_sql(p_entity, '$1'), v_join));
  o_rows := rowferry._source_sql(p_entity) || v_found;
  o_table_rows := rowferry._only_sql(p_entity) || v_found;
  o_check := rowferry._read_only_sql(p_entity) || rowferry._users_check_sql(p_entity);
  if p_entity.outbound is not null then
    o_check := o_check || format($f$  if exists (select from (select t.* from %1$s%2$s) t where not exists (select from %3$s o where %4$s)) then
    raise exception using errcode = 'RF013', message = 'the outbound view leaves out a row of the table', hint = %5$L;
  end if;
$f$, rowferry._filtered_sql(p_entity, rowferry._only_sql(p_entity)), v_found, rowferry._travelling_relation(p_entity),
      (select string_agg(format('o.%I operator(pg_catalog.=) t.%1$I', c.local), ' and ') from rowferry._entity_columns(p_entity) c where c.key_position is not null),
      format('It gives one row for each row of %s: take its condition or join out of %s, and see select * from rowferry.check();', p_entity.relation, p_entity.outbound));
  end if;
end
$function$;
comment on function rowferry._reader_parts(rowferry.entities) is 'What the functions that read an entity''s rows have in common, as SQL.';
