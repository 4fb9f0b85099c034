create or replace function rowferry._hold_mass_delete(
  p_run rowferry.comparisons
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.entities e
  set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
    held_error = format('%s of about %s rows are to be deleted on %s, more than a share of %s', p_run.only_there, p_run.rows_there, p_run.peer, e.breaker_share),
    held_hint = format('select * from rowferry.approve(%L);  -- lets them be deleted; to get the rows back instead: '
      'select * from rowferry.skip_deletes(%1$L, reason);', e.name)
  where e.name = p_run.entity and e.peer = p_run.peer and e.held_sqlstate is distinct from 'RF026'
    and p_run.rows_there >= e.breaker_rows and p_run.only_there > e.breaker_share * p_run.rows_there
$$;
comment on function rowferry._hold_mass_delete(rowferry.comparisons) is
  'Holds an entity until approve() if a comparison, whose choices were made beforehand, would delete more rows on the peer than the breaker allows. The breaker '
  'itself judges events of deletes, and there are none.';
