create or replace function rowferry._write_outbox(
  p_sections rowferry._section[],
  p_ids int8multirange
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_refusals jsonb := '[]';
  v_taken int8multirange := p_ids;
begin
  for i in 1 .. cardinality(p_sections) loop
    v_refusals := v_refusals || rowferry._write_outbox_section(p_sections[i]);
  end loop;
  if v_refusals <> '[]' then
    v_taken := v_taken - (
      select range_agg(int8range(e.id, e.id, '[]'))
      from generate_subscripts(p_sections, 1) i
      cross join lateral unnest((p_sections[i]).event_keys, (p_sections[i]).event_ids) e (record_id, id)
      where jsonb_build_array((p_sections[i]).entity, e.record_id) in (
        select jsonb_build_array(r -> 'entity', r -> 'record_id') from jsonb_array_elements(v_refusals) r));
  end if;
  return jsonb_build_object('ids', v_taken::text, 'refusals', v_refusals, 'conflicts', jsonb '[]',
    'effect', rowferry._effect(p_sections, p_ids, v_taken, v_refusals));
end
$$;
comment on function rowferry._write_outbox(rowferry._section[], int8multirange) is
  'Writes a batch, whose events are p_ids, into rowferry.outbox, and returns what a peer would have acknowledged: which events were taken, which records were '
  'refused, and the effect for the log.';
