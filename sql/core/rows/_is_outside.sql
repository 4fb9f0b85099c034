create or replace function rowferry._is_outside(
  p_entity rowferry.entities,
  p_record_id text
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_outside text[];
  v_state text;
  v_context text;
begin
  if coalesce(p_entity.filter, p_entity.within) is null then
    return false;
  end if;
  execute format('select o_outside from rowferry.%I($1, -2)', rowferry._generated_name('read_', p_entity.name)) into v_outside using array[p_record_id];
  perform rowferry._left_nothing();
  return v_outside is not null;
exception
  when others or assert_failure then
    get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
    if rowferry._is_transient(v_state, v_context) then
      raise;
    end if;
    return false;
end
$$;
comment on function rowferry._is_outside(rowferry.entities, text) is
  'Whether the row of a record exists here, but outside of what is kept in sync. Then the peer''s row cannot be written over it. It returns false if the '
  'table cannot be read.';
