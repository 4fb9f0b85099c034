create or replace function rowferry._leave_altered(
  p_entity rowferry.entities,
  p_section rowferry._section,
  out o_section rowferry._section,
  out o_left rowferry._not_taken[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_cut constant integer := 8;
  v_deadline timestamptz := clock_timestamp() + coalesce(nullif(current_setting('statement_timeout')::interval, '0'), '1 s') * 0.3;
  v_types constant text[] := p_entity.column_types;
  v_look text;
  v_positions integer[] := '{}';
  v_sent regtype[] := '{}';
  v_position integer;
  v_pieces rowferry._section[];
  v_piece rowferry._section;
  v_found record;
  v_keys text[] := '{}';  -- of the rows that would be altered, and by which column
  v_places integer[] := '{}';
  v_state text;
  v_context text;
  v_message text;
  v_detail text;
  v_place integer;
  v_back boolean;
  v_altered rowferry._not_taken[];
  v_kept text[] := '{}';
  v_tried boolean := false;
begin
  o_section := p_section;
  o_left := '{}';
  -- Of an entity that only sends, only the key is written.
  for v_position in
    select c.ord::integer
    from unnest(p_entity.columns, p_section.types, v_types) with ordinality c (name, sent, here, ord)
    where c.sent is distinct from c.here
      and (p_entity.outbound is null or p_entity.inbound is not null or p_entity.on_apply is not null or c.name = any (p_entity.key_columns))
    order by c.ord
  loop
    if p_section.types[v_position] is distinct from v_types[v_position] and concat(p_section.types[v_position], v_types[v_position]) like '%row(%' then
      v_keys := array(
        select p_section.keys[v.ord] from unnest(p_section.column_values[v_position]::text[]) with ordinality v (value, ord) where v.value is not null);
      v_places := array_fill(v_position, array[cardinality(v_keys)]);
      o_left := o_left || rowferry._altered_rows(p_entity, o_section, v_types, v_keys, v_places);
      o_section := rowferry._section_part(o_section, v_keys, false);
      p_section.keys := o_section.keys;
      p_section.column_values := o_section.column_values;
      exit when p_section.keys is null;
    else
      v_positions := v_positions || v_position;
      v_sent := v_sent || rowferry._known_type(p_section.types[v_position]);
    end if;
  end loop;
  if o_section.keys is null or v_positions = '{}' then
    return;
  end if;

  v_look := format('select * from rowferry.%I($1, $2, $3, $4, $5)', rowferry._generated_name('altered_', p_section.entity));
  v_piece := rowferry._section_part(o_section, o_section.keys, true);
  v_pieces := array[v_piece];
  v_keys := '{}';
  v_places := '{}';
  while cardinality(v_pieces) > 0 and (not v_tried or clock_timestamp() < v_deadline) loop
    v_piece := v_pieces[1];
    v_pieces := v_pieces[2:];
    v_tried := true;
    begin
      execute v_look into v_found using v_piece.column_values, v_piece.keys, v_positions, v_sent, true;
      perform rowferry._left_nothing();
      v_keys := v_keys || v_found.o_keys;
      v_places := v_places || v_found.o_positions;
      continue;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
        -- Types that do not fit together at all are refused by the write.
        continue when v_state like '42%';
    end;
    if cardinality(v_piece.keys) > 1 then
      v_pieces := array(select p from rowferry._split_section(v_piece, 0, (cardinality(v_piece.keys) + c_cut - 1) / c_cut) p) || v_pieces;
      continue;
    end if;
    -- One row: in which column does it fail, and on the way here or on the way back?
    begin
      for i in 1 .. 2 * cardinality(v_positions) loop
        v_place := (i + 1) / 2;
        v_back := i % 2 = 0;
        execute v_look into v_found using v_piece.column_values, v_piece.keys, v_positions[v_place:v_place], v_sent[v_place:v_place], v_back;
        perform rowferry._left_nothing();
        exit when v_found.o_keys is not null;
      end loop;
      v_back := true;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text, v_detail = pg_exception_detail;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
    end;
    v_altered := rowferry._altered_rows(p_entity, o_section, v_types, v_piece.keys, v_positions[v_place:v_place]);
    if not v_back then
      v_altered[1].refusal := v_altered[1].refusal || jsonb_build_object('sqlstate', v_state, 'message', concat_ws(' ', v_message, nullif(v_detail, '')));
    end if;
    o_left := o_left || v_altered;
    v_kept := v_kept || v_piece.keys;
  end loop;
  o_left := o_left || rowferry._altered_rows(p_entity, o_section, v_types, v_keys, v_places) || rowferry._untried(v_pieces);
  v_keys := v_keys || v_kept || array(select unnest((v_pieces[i]).keys) from generate_subscripts(v_pieces, 1) i);
  if cardinality(v_keys) > 0 then
    o_section := rowferry._section_part(o_section, v_keys, false);
  end if;
end
$$;
comment on function rowferry._leave_altered(rowferry.entities, rowferry._section) is
  'If the sender''s types are not those of the columns here, this takes rows out of a section of which a value would not be stored as it was sent; o_left '
  'has these rows, with the reason. Attributes of a composite type travel by their place: if the attributes differ, only null is stored alike. A value that '
  'cannot be converted makes the look at all rows fail; its row is then found when the section is taken apart.';
