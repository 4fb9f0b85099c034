create or replace function rowferry._overwritten(
  p_peer text,
  p_section rowferry._section,
  p_conflicts jsonb
)
returns jsonb
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
  c_most_bytes constant bigint := 126877696;  -- of the rows of two such decisions, which travel as one jsonb of less than 256 MB
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_keys text[];
  v_stamps timestamptz[];
  v_read record;
  v_part rowferry._section;
begin
  if v_entity.unsettled_since is null and not rowferry._any_skip(v_entity.id) then
    return '[]'::jsonb;
  elsif v_entity.unsettled_since is null then
    v_keys := array(
      select s.record_id from rowferry.skips s
      where s.entity_id = v_entity.id and s.ended_at is null and s.kept and s.record_id in (select unnest(p_section.keys || p_section.gone)));
  elsif p_section.keys is not null then
    execute format('select rowferry.%I($1, $2)', rowferry._generated_name('differing_', v_entity.name)) into v_keys
    using p_section.column_values, p_section.keys;
    perform rowferry._left_nothing();
  end if;
  v_keys := array(
    select k from unnest(case when v_entity.unsettled_since is null then v_keys else v_keys || p_section.gone end) k
    where k not in (select unnest((c ->> 'records')::text[]) from jsonb_array_elements(p_conflicts) c where c ->> 'entity' = v_entity.name));
  if v_keys = '{}' then
    return '[]'::jsonb;
  end if;
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', v_entity.name)) into v_read using v_keys;
  perform rowferry._left_nothing();
  if v_read.o_keys is null then
    return '[]'::jsonb;
  end if;
  v_part := rowferry._section_part(p_section, v_read.o_keys, true);
  if (select sum(octet_length(c)) from (select unnest(v_read.o_columns || v_part.column_values) as c offset 0) v) > c_most_bytes then
    raise exception using errcode = '54000',
      message = 'a row that the other node may not know is to be overwritten, and the two together are more than 120 MB of text, too much to keep both',
      hint = 'Make the row smaller on one of the two nodes, or delete it on the node where it is not needed.';
  end if;
  select array_agg(e.key), array_agg(e.stamp) into v_keys, v_stamps
  from (
    select u.key, max(u.stamp) from unnest(v_part.event_keys, v_part.event_stamps) u (key, stamp) group by u.key) e (key, stamp);
  return rowferry._conflicts_between(v_entity, v_entity.conflict_rule, p_peer, v_keys, array_fill('theirs'::text, array[cardinality(v_keys)]),
    array_fill('-infinity'::timestamptz, array[cardinality(v_keys)]), v_stamps, v_read.o_keys, v_read.o_columns, v_part.keys, v_part.column_values);
end
$$;
comment on function rowferry._overwritten(text, rowferry._section, jsonb) is
  'Rows here that a section of the peer is about to overwrite or delete, and that the peer may not know although no event says so: the rows that differ, of '
  'an entity that is not settled since resync(), and those that a skip keeps, different on purpose. They are returned as conflicts that the peer wins, so '
  'that both nodes keep both rows. Records that p_conflicts has already are left out.';
