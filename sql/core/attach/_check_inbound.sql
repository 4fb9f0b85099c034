-- Refuses a function that cannot turn an entity's received rows into rows of its table.
create or replace function rowferry._check_inbound(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_names constant text[] := rowferry._split_name(p_entity.inbound);
  v_owner constant text := (select pg_get_userbyid(t.relowner) from pg_class t where t.oid = p_entity.relation);
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_function regprocedure;
  v_wrong text;
begin
  if v_names is null or strpos(p_entity.inbound, '$rowferry$') > 0 then
    raise exception using errcode = 'RF013', message = 'an inbound function is named with its schema, and without $rowferry$, which quotes the generated functions', detail = format('%L.', p_entity.inbound),
      hint = 'p_inbound => ''app.accounts_in''';
  end if;
  v_function := (select (rowferry._find_user_function(p_entity.inbound, t.typarray::text::oidvector)).oid from pg_type t where t.typrelid = (select rowferry._travelling_relation(p_entity)));
  if v_function is null or not exists (select from rowferry._inbound_columns(p_entity)) then
    raise exception using errcode = 'RF013', message = 'there is no such inbound function',
      detail = format('%s(p_rows %s[]) returns table (..)', p_entity.inbound, rowferry._travelling_relation(p_entity)),
      hint = 'It gets the rows as they travel, and returns the columns of the table to write: each record once, its key too.';
  elsif not has_schema_privilege(v_owner, v_names[1], 'usage') or not has_function_privilege(v_owner, v_function, 'execute') then
    raise exception using errcode = 'RF013', message = 'the owner of the table may not execute the inbound function', detail = format('%s.', v_function),
      hint = format('grant usage on schema %I to %I; grant execute on function %s to %2$I;', v_names[1], v_owner, v_function);
  end if;
  select string_agg(format('%s %s', i.name, format_type(i.type, null)), ', ') into v_wrong
  from rowferry._inbound_columns(p_entity) i
  where not exists (
    select from pg_attribute a
    where a.attrelid = p_entity.relation and a.attname = i.name and a.atttypid = i.type and a.attnum > 0 and not a.attisdropped and a.attgenerated = '');
  if v_wrong is not null then
    raise exception using errcode = 'RF013', message = 'the inbound function returns what is no column of the table, or one of another type', detail = format('%s: %s.', v_function, v_wrong),
      hint = format('Its columns are those of %s to write, with their names and types: returns table (id integer, ..).', p_entity.relation);
  elsif not v_written.columns @> v_written.key_columns then
    raise exception using errcode = 'RF013', message = 'the inbound function does not return the key', detail = format('%s; the key is %s.', v_function, array_to_string(v_written.key_columns, ', ')),
      hint = 'It returns each record that it got, under its key.';
  end if;
end
$$;
comment on function rowferry._check_inbound(rowferry.entities) is 'Refuses a function that cannot turn received rows into rows of the table.';
