create or replace function rowferry._failed_choices(
  p_peer text
)
returns table (
  entity text,
  run_id bigint,
  error text,
  since timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select c.entity, c.id, c.error, c.finished_at
  from rowferry.comparisons c
  where c.peer = p_peer and c.state = 'failed' and c.different_choice is not null
    and not exists (select from rowferry.comparisons o where o.entity = c.entity and o.id > c.id and o.state <> 'failed')
    and c.id = (select max(o.id) from rowferry.comparisons o where o.entity = c.entity and o.state = 'failed' and o.different_choice is not null)
  order by c.entity
$$;
comment on function rowferry._failed_choices(text) is
  'Comparisons that failed although it was said whose rows are to stay, such as those that resync() begins after a cut, and that no later one has made up for.';
