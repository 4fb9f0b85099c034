create or replace function rowferry._written(
  p_entity rowferry.entities
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_written rowferry.entities := p_entity;
begin
  if p_entity.inbound is null and (p_entity.outbound is null or p_entity.on_apply is not null) then
    return p_entity;
  end if;
  v_written.key_columns := array(
    select p_entity.local_columns[array_position(p_entity.columns, k)] from unnest(p_entity.key_columns) with ordinality u (k, ord) order by ord);
  v_written.columns := array(select i.name from rowferry._inbound_columns(p_entity) i order by i.name collate "C");
  if v_written.columns = '{}' then
    v_written.columns := v_written.key_columns;
  end if;
  v_written.local_columns := v_written.columns;
  v_written.outbound := null;
  v_written.inbound := null;
  return v_written;
end
$$;
comment on function rowferry._written(rowferry.entities) is
  'An entity as its table is written: if an inbound function makes its rows, the columns are those that the function returns. If rows of the entity are only '
  'sent, through a view, its columns are those of the key.';
