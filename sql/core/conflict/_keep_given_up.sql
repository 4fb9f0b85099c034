create or replace function rowferry._keep_given_up(
  p_section rowferry._section
)
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_section.entity);
  v_ids bigint[];
  v_keys text[];
  v_here text[];
begin
  if not rowferry._any_skip(v_entity.id) then
    return null;
  end if;
  -- The last skip of a record counts.
  select array_agg(s.id), array_agg(s.record_id) into v_ids, v_keys
  from (
    select e.key
    from unnest(p_section.event_keys, p_section.event_hops, p_section.event_stamps) e (key, hops, stamp)
    where e.stamp is not null
    group by e.key having bool_and(e.hops = -1)
  ) a
  cross join lateral (
    select s.id, s.record_id, s.may_delete
    from rowferry.skips s
    where s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(a.key) and s.ended_at is null
    order by s.id desc limit 1
  ) s
  where (a.key in (select unnest(p_section.gone))) is true and not s.may_delete;
  if v_keys is null then
    return null;
  end if;
  execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._generated_name('hash_', v_entity.name)) into v_here using v_keys;
  perform rowferry._left_nothing();
  update rowferry.skips s
  set kept = h.here, outcome = case when h.here then format('%s has no such row; it is kept here, different on purpose', s.peer) else s.outcome end
  from (select i as id, (k in (select unnest(v_here))) is true as here from unnest(v_ids, v_keys) u (i, k)) h
  where s.id = h.id and s.kept <> h.here;
  return v_here;
end
$$;
comment on function rowferry._keep_given_up(rowferry._section) is
  'Keys of a section whose rows stay here although the peer answers that it has no such row: a person gave up this node''s change of them, and did not say '
  'that the row may be deleted. The skip notes that the record is different on purpose, or that it is so no longer, since no row is left here either.';
