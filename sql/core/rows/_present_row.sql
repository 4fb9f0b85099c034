create or replace function rowferry._present_row(
  p_entity rowferry.entities,
  p_record_id text,
  out o_record_id text,
  out o_row jsonb,
  out o_section rowferry._section,
  out o_unreadable boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_read record;
begin
  execute format('select * from rowferry.%I($1, 125829120)', rowferry._generated_name('read_', p_entity.name)) into v_read using array[p_record_id];
  perform rowferry._left_nothing();
  o_unreadable := false;
  o_section.entity := p_entity.name;
  o_section.columns := p_entity.columns;
  o_section.keys := v_read.o_keys;
  o_section.column_values := v_read.o_columns;
  o_record_id := coalesce(v_read.o_keys[1], v_read.o_large[1], p_record_id);
  o_row := case when v_read.o_large is not null then '"more than 120 MB"'
    else (select jsonb_object(p_entity.columns, r.literal::text[]) from rowferry._row_literals(v_read.o_keys, v_read.o_columns) r) end;
exception
  when data_exception then
    -- A record that waits and cannot be read is held for that.
    if exists (select from rowferry.events e where e.entity_id = p_entity.id and rowferry._index_key(e.record_id) = rowferry._index_key(p_record_id)) then
      o_unreadable := true;
      o_record_id := p_record_id;
      o_row := to_jsonb(format('cannot be read: %s', sqlerrm));
      return;
    end if;
    raise exception using errcode = 'RF008', message = 'not a key of this entity', detail = format('%s: %s', p_entity.name, sqlerrm),
      hint = format('The text of %s; of several columns an array of texts in this order: ''{1,2}''.', array_to_string(p_entity.key_columns, ', '));
end
$$;
comment on function rowferry._present_row(rowferry.entities, text) is
  'The present row of a record as json and as the section that would carry it: null if it is gone, and a word if it has more than 120 MB or cannot be read. '
  'o_record_id is its key as capture would spell it.';
