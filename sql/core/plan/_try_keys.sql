create or replace function rowferry._try_keys(
  p_table regclass,
  p_peer text,
  p_columns jsonb
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- No other entity has this name.
  c_entity constant text := 'plan of ' || p_table::oid;
  v_columns constant jsonb := (select jsonb_agg(k order by k collate "C") from jsonb_object_keys(p_columns) k);
  v_key record;
  v_entity rowferry.entities;
  v_keys jsonb := '[]';
begin
  for v_key in select * from rowferry._possible_keys(p_table) loop
    begin
      v_entity := rowferry._plan_entity(p_table, c_entity, v_columns, v_key.columns, p_peer, null);
      v_keys := v_keys || jsonb_build_array(jsonb_build_object('columns', v_key.columns, 'key', v_entity.key_columns || v_entity.key_types,
        'primary', v_key.is_primary));
    exception
      when sqlstate 'RF010' or insufficient_privilege then
        null;  -- attach() says why, below
    end;
  end loop;
  return jsonb_build_object('keys', v_keys, 'problem', rowferry._refusal(p_table, c_entity, v_columns,
    (select array(select jsonb_array_elements_text(v_keys #> '{0,columns}')) where v_keys <> '[]'), p_peer));
end
$$;
comment on function rowferry._try_keys(regclass, text, jsonb) is
  'For plan_facts(): the keys with which a table can be attached, each as attach() would register it, or the reason why it cannot be attached.';
