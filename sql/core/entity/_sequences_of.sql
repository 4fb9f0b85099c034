create or replace function rowferry._sequences_of(
  p_entity rowferry.entities
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_function text := format('rowferry.%I', rowferry._generated_name('sequences_', p_entity.name));
  v_theirs jsonb;
  v_sequences jsonb;
  v_state text;
  v_context text;
begin
  if to_regprocedure(v_function || '(jsonb)') is null or (rowferry._table_apart(p_entity)).o_unusable then
    return null;
  end if;
  select jsonb_object_agg(c.local, s.value) into v_theirs
  from unnest(p_entity.columns, p_entity.local_columns) c (name, local)
  join rowferry.peer_facts f on f.peer = p_entity.peer
  cross join lateral (select f.facts #> array['entities', p_entity.name, 'columns', c.name, 'sequence']) s (value)
  where s.value is not null;
  execute format('select %s($1)', v_function) into v_sequences using v_theirs;
  perform rowferry._left_nothing();
  return v_sequences;
exception
  when others or assert_failure then
    get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
    if rowferry._is_transient(v_state, v_context) then
      raise;
    end if;
    return null;
end
$$;
comment on function rowferry._sequences_of(rowferry.entities) is
  'The last values of the sequences that feed columns of an entity''s table, by column, and how high the values in these columns are, also compared with the '
  'peer''s sequences as the peer last told of them. The result is null if they cannot be read, which is no reason to keep back the facts of all other '
  'tables.';
