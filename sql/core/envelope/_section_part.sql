-- No statistics describe these arrays: with a nested loop, each key would be compared with each.
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
  v_kept constant boolean[] := (select array_agg((k.key in (select unnest(p_keys))) = p_keep) from unnest(p_section.keys) k (key));
begin
  select array_agg(k) into p_section.gone from unnest(p_section.gone) k where (k in (select unnest(p_keys))) = p_keep;
  select array_agg(k) into p_section.asked from unnest(p_section.asked) k where (k in (select unnest(p_keys))) = p_keep;
  select array_agg(e.key), array_agg(e.id), array_agg(e.stamp), case when p_section.event_hops is not null then array_agg(e.hops) end
  into p_section.event_keys, p_section.event_ids, p_section.event_stamps, p_section.event_hops
  from unnest(p_section.event_keys, p_section.event_ids, p_section.event_stamps, p_section.event_hops) e (key, id, stamp, hops)
  where (e.key in (select unnest(p_keys))) = p_keep;
  if false = any (v_kept) then
    p_section.keys := (select array_agg(k.key) from unnest(p_section.keys, v_kept) k (key, kept) where k.kept);
    -- The values of a column keep their order, as a scan of a function does.
    p_section.column_values := case
      when p_section.keys is null then array_fill(null::text, array[cardinality(p_section.columns)])
      else array(
        select (select array_agg(v.value) from unnest(c.literal::text[], v_kept) v (value, kept) where v.kept)::text
        from unnest(p_section.column_values) with ordinality c (literal, ord)
        order by c.ord) end;
  end if;
  return p_section;
end
$$;
comment on function rowferry._section_part(rowferry._section, text[], boolean) is 'The part of a section that concerns some keys, or all but them.';
