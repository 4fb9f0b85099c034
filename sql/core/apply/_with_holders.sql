create or replace function rowferry._with_holders(
  p_refusals jsonb,
  p_sections rowferry._section[]
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_section rowferry._section;
  v_found record;
  v_holders jsonb := '{}';
  v_state text;
  v_context text;
begin
  for i in 1 .. cardinality(p_sections) loop
    continue when (p_sections[i]).keys is null;
    v_section := rowferry._section_part(p_sections[i], array(
      select r ->> 'record_id' from jsonb_array_elements(p_refusals) r
      where r ->> 'entity' = (p_sections[i]).entity and r ->> 'sqlstate' in ('23505', '23P01') and r ? 'record_id'), true);
    continue when v_section.keys is null;
    begin
      execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('wanting_', v_section.entity)) into v_found
      using v_section.column_values, v_section.keys;
      perform rowferry._left_nothing();
    exception
      -- A table that cannot be read: its rows are refused, and nobody knows for whom they wait.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
        continue;
    end;
    v_holders := v_holders || coalesce((
      select jsonb_object_agg(jsonb_build_array(v_section.entity, w.record_id)::text, w.holders)
      from (
        select u.record_id, jsonb_agg(distinct u.holder) as holders
        from unnest(v_found.o_keys, v_found.o_holders) u (record_id, holder)
        group by u.record_id having count(distinct u.holder) <= 100
      ) w), '{}');
  end loop;
  return (
    select coalesce(jsonb_agg(r.refusal || case when h.holders is null then '{}' else jsonb_build_object('holders', h.holders) end order by r.place), '[]')
    from jsonb_array_elements(p_refusals) with ordinality r (refusal, place)
    cross join lateral (select v_holders -> jsonb_build_array(r.refusal ->> 'entity', r.refusal ->> 'record_id')::text) h (holders));
end
$$;
comment on function rowferry._with_holders(jsonb, rowferry._section[]) is
  'Refusals, where each refusal because of a unique value gets the records that hold the value here now (holders): the peer may have to send its changes of '
  'these together with the record. p_sections is the batch as it was received.';
