create or replace function rowferry._delete_wanted(
  p_sections rowferry._section[],
  p_needs rowferry._need[],
  p_waiting text[],
  p_after bigint,
  p_heard int8multirange
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_first rowferry._section[] := '{}';
  v_part rowferry._section;
begin
  for i in 1 .. cardinality(p_sections) loop
    continue when (p_sections[i]).gone is null;
    v_part := rowferry._section_part(p_sections[i], array(
      select n.needed_record_id from unnest(p_needs) n where n.needed_entity = (p_sections[i]).entity and n.state = '23505' and n.released_by is null), true);
    continue when v_part.gone is null;
    v_first := v_first || rowferry._section_part(v_part, v_part.gone, true);
  end loop;
  if v_first <> '{}' then
    -- Only these rows are marked. If a cascade takes another row, which the peer has not deleted, that row must not be made again.
    perform rowferry._mark_applying(v_first);
    perform rowferry._write_sections(p_sections, v_first, false);
    perform rowferry._refuse_cascade(p_sections, p_waiting, p_after, p_heard, (
      select format('Row %s of %s needs a unique value that row %s still has here. Give it another value on the node that sent it. When that change and the '
        'delete have both arrived, you can give it this value again.',
        n.record_id, n.entity, n.needed_record_id)
      from unnest(p_needs) n
      where n.state = '23505' and n.released_by is null and n.needed_entity = v_first[1].entity and n.needed_record_id in (select unnest(v_first[1].gone))
      limit 1));
  end if;
end
$$;
comment on function rowferry._delete_wanted(rowferry._section[], rowferry._need[], text[], bigint, int8multirange) is
  'Before anything else is written, this deletes the rows whose unique value a row of the batch needs, if the value cannot become free in any other way. A '
  'cascade may then not delete a row that the peer has not deleted.';
