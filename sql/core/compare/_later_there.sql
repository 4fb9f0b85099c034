create or replace function rowferry._later_there(
  p_entity rowferry.entities,
  p_column text,
  p_keys text[],
  p_values text[]
)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type text := (select c.type from rowferry._entity_columns(p_entity) c join pg_type t on t.oid = c.type_oid
    where c.name = p_column and t.typnamespace = 'pg_catalog'::regnamespace);
  v_mine record;
  v_later text[];
begin
  if v_type is null then
    raise exception using errcode = 'RF051', message = 'the column to compare by has no type of PostgreSQL''s own', detail = format('%s.', p_column),
      hint = 'Choose another column, or here or there.';
  end if;
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', p_entity.name)) into v_mine using p_keys;
  perform rowferry._left_nothing();
  execute format('select array_agg(a.key)
    from unnest($1, $2) a (key, value)
    join unnest($3, $4::text[]) b (key, value) on b.key = a.key
    where case when a.value is null or b.value is null or a.value::%1$s = b.value::%1$s
      then a.value is null and b.value is not null or (a.value is null) = (b.value is null) and $5
      else b.value::%1$s > a.value::%1$s end', v_type)
  into v_later
  using p_keys, p_values, v_mine.o_keys, v_mine.o_columns[array_position(p_entity.columns, p_column)],
    (select n.name collate "C" > p_entity.peer collate "C" from rowferry.node n);
  return coalesce(v_later, '{}');
end
$$;
comment on function rowferry._later_there(rowferry.entities, text, text[], text[]) is
  'Returns those of some records whose value of a column is later here than p_values, the value on the asking node. Null is the earliest. Of equal values '
  'the one of the node whose name sorts last counts as later, as in a conflict. Only types of PostgreSQL''s own can be compared, because the operator of '
  'another type would run with this schema''s rights.';
