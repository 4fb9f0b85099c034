create or replace function rowferry._unreadable_records(
  p_entity rowferry.entities,
  p_keys text[],
  p_bytes bigint,
  out o_found jsonb,
  out o_left text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_attempts constant integer := 200;
  v_firsts integer[] := '{1}';
  v_lasts integer[] := array[cardinality(p_keys)];
  v_first integer;
  v_last integer;
  v_half integer;
  v_any_read boolean := false;
  v_state text;
  v_context text;
  v_message text;
begin
  o_found := '[]';
  o_left := '{}';
  for i in 1 .. c_attempts loop
    v_first := v_firsts[1];
    v_last := v_lasts[1];
    exit when v_first is null;
    v_firsts := v_firsts[2:];
    v_lasts := v_lasts[2:];
    begin
      execute format('select from rowferry.%I($1, $2)', rowferry._generated_name('read_', p_entity.name)) using p_keys[v_first:v_last], p_bytes;
      perform rowferry._left_nothing();
      v_any_read := true;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        elsif v_first = v_last then
          o_found := o_found || jsonb_build_object('entity', p_entity.name, 'record_id', p_keys[v_first], 'here', true, 'sqlstate', v_state,
            'message', format('the record cannot be read on this node: %s', v_message),
            'hint', format('Mend the row, its type or its view; or give the change up: select rowferry.skip(id, ''reason''); '
              'if its key is spelled otherwise now, as after a label of an enum was renamed, first send it so: select * from rowferry.replay(%L, ''key'');',
              p_entity.name));
        else
          v_half := (v_first + v_last) / 2;
          v_firsts := array[v_first, v_half + 1] || v_firsts;
          v_lasts := array[v_half, v_last] || v_lasts;
        end if;
    end;
  end loop;
  if v_firsts[1] is not null then
    if v_any_read then
      o_left := p_keys[v_firsts[1]:];
    else
      o_found := '[]';
    end if;
  end if;
end
$$;
comment on function rowferry._unreadable_records(rowferry.entities, text[], bigint) is
  'Finds, by halves, the records of an entity that its reader cannot read: o_found has an entry for _hold_entities() for each. If there are many, o_left '
  'has the keys that were not looked at. o_found is empty if not a single key could be read in 200 attempts: then it is the table that cannot be read.';
