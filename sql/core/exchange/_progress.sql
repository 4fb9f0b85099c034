create or replace function rowferry._progress(
  p_peer text
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(jsonb_build_object('what', w.what, 'entity', w.entity, 'done', w.done, 'of', greatest(w.done, w.most)) order by w.since)
  from (
    select 'backfill', e.name, b.queued, rowferry._estimated_rows(e.relation), b.requested_at
    from rowferry.backfills b
    join rowferry.entities e on e.id = b.entity_id
    where e.peer = p_peer and b.finished_at is null
    union all
    select case when c.state = 'resolving' then 'repair' else 'compare' end, c.entity,
      case when c.state = 'resolving' then c.resolved else c.rows_here + c.rows_there end,
      case when c.state = 'resolving' then c.listed - c.pending else 2 * rowferry._estimated_rows(e.relation) end, c.requested_at
    from rowferry.comparisons c
    join rowferry.entities e on e.name = c.entity
    where c.peer = p_peer and c.state in ('queued', 'walking', 'resolving')
  ) w (what, entity, done, most, since)
$$;
comment on function rowferry._progress(text) is
  'How far backfills and comparisons of a link are, for the worker: an array of objects with what, entity, done and of.';
