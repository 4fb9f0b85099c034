create or replace function rowferry._read_rows(
  p_entity rowferry.entities,
  p_keys text[],
  p_bytes bigint,
  out o_keys text[],
  out o_columns text[],
  out o_left_out text[],
  out o_outside text[],
  out o_length bigint,
  out o_unsendable jsonb,
  out o_failed boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_largest constant bigint := 125829120;
  v_budget constant bigint := (
    select case when p_bytes = c_largest or c.relkind = 'p' or pg_relation_size(nullif(c.reltoastrelid, 0)) > 0 then p_bytes end
    from pg_class c where c.oid = p_entity.relation);
  v_read record;
  v_bad jsonb;
  v_state text;
  v_context text;
  v_message text;
begin
  o_failed := false;
  loop
    begin
      execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('read_', p_entity.name)) into v_read using p_keys, v_budget;
      perform rowferry._left_nothing();
      exit;
    exception
      -- A table that was altered or dropped here stops no other.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        -- A record that cannot be read (a label of an enum in the key has another name now, a view divides by zero) does not stop others of its table.
        if v_bad is null and left(v_state, 2) = '22' then
          select u.o_found, u.o_left || array(select b ->> 'record_id' from jsonb_array_elements(u.o_found) b) into v_bad, o_left_out
          from rowferry._unreadable_records(p_entity, array(select distinct k from unnest(p_keys) k), v_budget) u;
          if v_bad <> '[]' then
            p_keys := array(select k from unnest(p_keys) k where k not in (select unnest(o_left_out)));
            continue;
          end if;
        end if;
        o_failed := true;
        o_unsendable := jsonb_build_array(rowferry._unreadable_entity(p_entity, v_state, v_message));
        return;
    end;
  end loop;
  -- This is checked after the read, which has locked the table, because a column that was dropped and added again reads as null.
  if (p_entity.column_digest = rowferry._column_digest(p_entity.relation)) is not true
    and rowferry._column_types(p_entity) is distinct from p_entity.column_types then
    o_failed := true;
    o_unsendable := jsonb_build_array(rowferry._unreadable_entity(p_entity, 'RF020', 'its columns are not those that were attached'));
    return;
  end if;
  o_unsendable := coalesce(v_bad, '[]');
  o_keys := v_read.o_keys;
  o_columns := v_read.o_columns;
  o_outside := v_read.o_outside;
  o_length := v_read.o_length;
  o_left_out := o_left_out || v_read.o_cut || v_read.o_large || v_read.o_alone;
  if v_read.o_large is not null then
    o_unsendable := o_unsendable || (
      select jsonb_agg(jsonb_build_object('entity', p_entity.name, 'record_id', k, 'here', true, 'sqlstate', '54000',
        'message', 'the row is too large to travel: more than 120 MB',
        'hint', 'Make it smaller, or keep the column out of the sync: attach() with p_columns on both nodes; '
          'or give the change up: select rowferry.skip(id, ''reason'');'))
      from unnest(v_read.o_large) k);
  end if;
  if v_read.o_alone is not null then
    o_unsendable := o_unsendable || (
      select jsonb_agg(jsonb_build_object('entity', p_entity.name, 'record_id', a.key, 'here', true, 'sqlstate', 'RF025',
        'message', format('the row has %s MB and travels alone', a.size / 1048576), 'patience', least(64, 1 + a.size / 2097152),
        'hint', 'You need do nothing: it is sent in a call of its own, which may take longer than others.'))
      from unnest(v_read.o_alone, v_read.o_sizes) a (key, size));
  end if;
end
$$;
comment on function rowferry._read_rows(rowferry.entities, text[], bigint) is
  'The present rows of some keys of an entity: o_keys, and for each column the literal of one array. p_bytes is the limit of its generated reader. '
  'o_left_out lists keys that are not for this batch, because their rows are beyond p_bytes, travel alone or cannot be read; o_unsendable has an entry for '
  '_hold_entities() for each of the last two kinds. o_outside lists keys of rows outside of the filter of which the peer is told nothing. o_failed says that '
  'the table cannot be read; then o_unsendable has the entry of the entity. The function is STABLE, so that it sees the snapshot in which the events were '
  'chosen.';
