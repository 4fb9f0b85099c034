create or replace function rowferry._conflicts_without(
  p_conflicts jsonb,
  p_entity text,
  p_records text[]
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(case when o.concerned then g.value || c.rest else g.value end), '[]')
  from jsonb_array_elements(p_conflicts) g
  cross join lateral (select g.value ->> 'entity' = p_entity and g.value ->> 'verdict' = 'theirs') o (concerned)
  cross join lateral (
    select jsonb_build_object('records', array_agg(r.record_id)::text, 'winner_rows', array_agg(r.winner_row)::text, 'loser_rows', array_agg(r.loser_row)::text,
      'winner_changed_at', array_agg(r.winner_changed_at)::text, 'loser_changed_at', array_agg(r.loser_changed_at)::text), count(*)
    from unnest((g.value ->> 'records')::text[], (g.value ->> 'winner_rows')::text[], (g.value ->> 'loser_rows')::text[],
      (g.value ->> 'winner_changed_at')::float8[], (g.value ->> 'loser_changed_at')::float8[])
      r (record_id, winner_row, loser_row, winner_changed_at, loser_changed_at)
    where o.concerned and r.record_id not in (select unnest(p_records))
  ) c (rest, records)
  where not o.concerned or c.records > 0
$$;
comment on function rowferry._conflicts_without(jsonb, text, text[]) is
  'Conflicts, in groups as _conflicts_between() makes them, without those that the peer has won of these records of an entity.';
