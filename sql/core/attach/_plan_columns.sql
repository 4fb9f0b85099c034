create or replace function rowferry._plan_columns(
  p_entity rowferry.entities,
  p_old rowferry.entities,
  p_was jsonb,
  p_columns jsonb
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_shape constant regclass := rowferry._travelling_relation(p_entity);
  v_map jsonb;
  v_names text;
begin
  p_entity.columns_given := case when p_columns is null then coalesce(p_old.columns_given, false) else p_columns <> '"*"' end;
  if p_columns is null and p_old.columns_given then
    v_map := p_was;
  elsif p_columns is null or p_columns = '"*"' then
    select jsonb_object_agg(a.attname, a.attname) into v_map
    from pg_attribute a
    where a.attrelid = v_shape and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  elsif jsonb_typeof(p_columns) = 'array' then
    select jsonb_object_agg(coalesce(c, ''), c) into v_map from jsonb_array_elements_text(p_columns) c;
  elsif jsonb_typeof(p_columns) = 'object' then
    v_map := p_columns;
  end if;
  select string_agg(coalesce(m.value, 'null'), ', ' order by m.value) into v_names
  from jsonb_each_text(v_map) m
  where not exists (
    select from pg_attribute a
    where a.attrelid = v_shape and a.attname = m.value and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  );
  if v_names is not null or v_map is null or (select count(distinct value) <> count(*) from jsonb_each_text(v_map)) then
    raise exception using errcode = 'RF010', message = 'p_columns must name columns of the table, or of its outbound view, and each of them once',
      detail = case when v_names is null then 'A column is named twice, or none is named.'
        else format('%s has no column of this name, or the column is generated: %s.', v_shape, v_names) end,
      hint = case when v_map = p_was and p_columns is null
        then format('To go on without them: select rowferry.attach(%L%s, p_columns => %L);', p_entity.relation, rowferry._which_entity(p_entity.peer), (
          select jsonb_object_agg(m.key, m.value)
          from jsonb_each_text(v_map) m
          join pg_attribute a on a.attrelid = v_shape and a.attname = m.value and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''))
        else E'Give an array of columns, or a map from each entity column to a column of the table; \\d shows the columns.' end;
  end if;
  select array_agg(m.key order by m.key collate "C"), array_agg(m.value order by m.key collate "C")
  into p_entity.columns, p_entity.local_columns
  from jsonb_each_text(v_map) m;
  if p_entity.outbound is null then
    p_entity.column_numbers := array(
      select a.attnum
      from unnest(p_entity.local_columns) with ordinality c (local, ord)
      join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local
      order by c.ord);
  end if;
  p_entity.column_types := rowferry._column_types(p_entity);
  p_entity.column_digest := case when p_entity.outbound is null and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = p_entity.relation and a.attname = any (p_entity.local_columns)
        and (t.typnamespace <> 'pg_catalog'::regnamespace or t.typtype = 'c'))
    then rowferry._column_digest(p_entity.relation) end;
  if exists (
    select from rowferry._entity_columns(p_entity) c
    where strpos(concat_ws(' ', p_entity.relation::text, p_entity.outbound, p_entity.name, c.name, c.local, c.full_type), '$rowferry$') > 0
  ) or strpos(array_to_string(rowferry._captured_columns(p_entity), ' '), '$rowferry$') > 0 then
    raise exception using errcode = 'RF010', message = 'no name may hold $rowferry$, which quotes the generated functions',
      detail = format('%s, its columns or their types.', p_entity.relation),
      hint = 'Rename it, leave the column out with p_columns =>, or give p_entity => a name.';
  end if;
  select string_agg(format('%s %s', c.local, c.type), ', ') into v_names
  from rowferry._entity_columns(p_entity) c
  where rowferry._local_type(c.type);
  if v_names is not null then
    raise exception using errcode = 'RF010', message = 'a column holds what has a meaning in this database only',
      detail = format('%s: %s.', p_entity.relation, v_names), hint = 'Leave it out with p_columns =>; large objects cannot be kept in sync.';
  end if;
  return p_entity;
end
$$;
comment on function rowferry._plan_columns(rowferry.entities, rowferry.entities, jsonb, jsonb) is
  'Returns the entity with its columns, as attach() would register it. p_columns is an array or a map; "*" means all columns; null means the columns of '
  'p_old if p_columns once named them, and otherwise all. p_was has the columns of p_old, by the names that they have in the table now. If that is '
  'impossible, it raises an error with the reason.';
