-- Each group has what people and the worker call, each for those who may; nothing is open to everybody.
select has_function_privilege('rowferry_worker', 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval)', 'execute'),
  'process_batch(), for the worker'
union all
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name), f.name || '()'
from unnest(array['attach', 'detach', 'remove_peer', 'set_rules', 'skip', 'skip_deletes', 'retry', 'approve', 'pause', 'resume', 'backfill', 'replay', 'resync',
  'let_loser_win', 'set_breaker', 'compare', 'repair', 'first_contact', 'stagger_sequence', 'why_stuck', 'row_status', 'check', 'drift']) f (name)
union all
select has_table_privilege('rowferry_viewer', to_regclass('rowferry.' || v.name), 'select'), 'view ' || v.name || ', for viewers'
from unnest('{status,sync_events,compare_runs,compare_report,differences,backfill_progress}'::text[]) v (name)
union all
select exists (select from rowferry.released), 'the list of what was released'
union all
select not exists (
  select from pg_proc p
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where p.pronamespace = 'rowferry'::regnamespace and a.grantee = 0 and p.proname <> 'is_applying'), 'all functions closed to public';
