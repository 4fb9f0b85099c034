create or replace function rowferry._compare_choose(
  p_run_id bigint,
  p_only_here text,
  p_only_there text,
  p_different text
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.compared_records d set chosen = null where d.run_id = p_run_id and d.chosen is not null;
  update rowferry.comparisons c
  set state = 'resolving', only_here_choice = p_only_here, only_there_choice = p_only_there, different_choice = p_different, walked_to = null, resolved = 0,
    first_event_id = 0, last_event_id = 0, sent_at = null, unanswered = 0, finished_at = null
  where c.id = p_run_id
$$;
comment on function rowferry._compare_choose(bigint, text, text, text) is
  'Begins to resolve what a comparison has listed. For each kind of difference the caller says whose row is to stay, the one here or there; null means that '
  'records of that kind are not touched.';
