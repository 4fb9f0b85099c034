-- A record's row as it is on this node, for people; null: it is gone, or has more than 120 MB.
create or replace function rowferry._image(
  p_entity rowferry.entities,
  p_record_id text
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_read record;
begin
  execute format('select * from rowferry.%I($1, 125829120)', rowferry._object_name('read_', p_entity.name)) into v_read using array[p_record_id];
  return (select r."row" from rowferry._rows(p_entity.columns, v_read.o_keys, v_read.o_columns) r);
end
$$;
comment on function rowferry._image(rowferry.entities, text) is 'A record''s row as it is on this node.';
revoke all on function rowferry._image(rowferry.entities, text) from public;
