create or replace function rowferry._note_differing(
  p_section rowferry._section
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
declare
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_hops smallint := coalesce(p_section.hops, 0) + 1;
  v_keys text[];
  v_read record;
begin
  if v_entity.direction = 'receive' then
    return;
  end if;
  if p_section.keys is not null then
    execute format('select rowferry.%I($1, $2)', rowferry._generated_name('differing_', v_entity.name)) into v_keys
    using p_section.column_values, p_section.keys;
    perform rowferry._left_nothing();
  end if;
  if p_section.gone is not null then
    execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_read using p_section.gone;
    perform rowferry._left_nothing();
    v_keys := v_keys || v_read.o_keys;
  end if;
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select rowferry._now(), v_entity.id, v_hops, 'u', k from unnest(v_keys) k;
  if v_hops > 3 then
    insert into rowferry.held_events (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, first_at, last_at, here)
    select e.id, e.entity_id, e.record_id, 1, 'infinity', 'RF021', 'the triggers of the two nodes change this row back and forth',
      'Make the triggers agree, then: select rowferry.retry(id);', rowferry._now(), rowferry._now(), true
    from rowferry.events e
    where e.hops > 3 and e.entity_id = v_entity.id
    on conflict do nothing;
  end if;
end
$$;
comment on function rowferry._note_differing(rowferry._section) is
  'Makes events of the rows of a section that are not stored as they were sent (a trigger changed, refused or removed them, or a cascade took them), '
  'marked as consequences, so that both sides end equal. After more than three hops the triggers of the two nodes disagree for ever: the event is held, '
  'with the reason.';
