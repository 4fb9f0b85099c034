create or replace function rowferry._write_outbox_section(
  p_section rowferry._section
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
as $$
declare
  v_entity constant rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_type constant text := rowferry._topic_of(v_entity);
  v_half constant integer := cardinality(p_section.keys) / 2;
  v_rows tid[];
  v_state text;
  v_message text;
begin
  execute format(
    $sql$
    with changed (record_id, at) as (
      select e.record_id, coalesce(nullif(max(e.stamp), '-infinity'), rowferry._now()) at time zone 'UTC'
      from unnest($3, $4) e (record_id, stamp)
      group by e.record_id
    ), written as (
      insert into rowferry.outbox (id, aggregatetype, aggregateid, type, payload, changed_at)
      select gen_random_uuid(), $5, r.record_id, case when r.payload is null then 'delete' else 'upsert' end, r.payload,
        coalesce(c.at, rowferry._now() at time zone 'UTC')
      from (
        select u.record_id, to_jsonb(p.*) as payload from %s
        union all
        select g, null from unnest($6) g
      ) r
      left join changed c on c.record_id = r.record_id
      returning ctid
    )
    select array_agg(w.ctid) from written w
    $sql$, rowferry._payload_sql(v_entity))
  into v_rows
  using p_section.column_values, p_section.keys, p_section.event_keys, p_section.event_stamps, v_type, p_section.gone;
  delete from rowferry.outbox o where o.ctid = any (v_rows);
  return '[]';
exception
  -- A value that has no form in json, such as a zero character in a json column, keeps no other row from going.
  when data_exception or program_limit_exceeded then
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
    if v_half is null then
      raise;
    elsif v_half = 0 then
      return jsonb_build_array(jsonb_build_object('entity', p_section.entity, 'record_id', p_section.keys[1], 'sqlstate', v_state,
          'message', format('the row cannot be written as jsonb: %s', v_message),
          'hint', 'Mend the row, or leave the column out with p_columns; or give the change up: select rowferry.skip(id, ''reason'');'))
        || case when p_section.gone is null then '[]' else rowferry._write_outbox_section(rowferry._section_part(p_section, p_section.keys, false)) end;
    end if;
    return rowferry._write_outbox_section(rowferry._section_part(p_section, p_section.keys[:v_half], true))
      || rowferry._write_outbox_section(rowferry._section_part(p_section, p_section.keys[:v_half], false));
end
$$;
comment on function rowferry._write_outbox_section(rowferry._section) is
  'Writes rows of one entity into rowferry.outbox, deletes them there, and returns an entry for each record that jsonb cannot hold. To find these, a section '
  'that fails is written by halves.';
