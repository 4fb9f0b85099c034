-- The part of a section that concerns some keys (p_keep), or all but them. No statistics describe its arrays, and a loop over two of them has no end.
create or replace function rowferry._section_part(
  p_section rowferry._section,
  p_keys text[],
  p_keep boolean
)
returns rowferry._section
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
as $$
declare
  v_positions bigint[];
  v_count integer := cardinality(p_section.keys);
begin
  select array_agg(k.ord order by k.ord), array_agg(k.key order by k.ord) into v_positions, p_section.keys
  from unnest(p_section.keys) with ordinality k (key, ord)
  where (k.key in (select unnest(p_keys))) = p_keep;
  select array_agg(k) into p_section.gone from unnest(p_section.gone) k where (k in (select unnest(p_keys))) = p_keep;
  select array_agg(k) into p_section.asked from unnest(p_section.asked) k where (k in (select unnest(p_keys))) = p_keep;
  select array_agg(e.key), array_agg(e.id), array_agg(e.stamp), case when p_section.event_hops is not null then array_agg(e.hops) end
  into p_section.event_keys, p_section.event_ids, p_section.event_stamps, p_section.event_hops
  from unnest(p_section.event_keys, p_section.event_ids, p_section.event_stamps, p_section.event_hops) e (key, id, stamp, hops)
  where (e.key in (select unnest(p_keys))) = p_keep;
  if cardinality(v_positions) = v_count then
    return p_section;
  elsif v_positions is null then
    p_section.column_values := array_fill(null::text, array[cardinality(p_section.columns)]);
    return p_section;
  end if;
  select array_agg((
      select array_agg(v.value order by v.ord)::text
      from unnest(c.literal::text[]) with ordinality v (value, ord)
      where v.ord in (select unnest(v_positions))) order by c.ord)
  into p_section.column_values
  from unnest(p_section.column_values) with ordinality c (literal, ord);
  return p_section;
end
$$;
comment on function rowferry._section_part(rowferry._section, text[], boolean) is 'The part of a section that concerns some keys, or all but them.';
revoke all on function rowferry._section_part(rowferry._section, text[], boolean) from public;
