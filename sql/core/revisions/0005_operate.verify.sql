-- People have their views and functions.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{skip,retry,pause,resume,backfill,resync,let_loser_win}'::text[]) f (name)
union all
select has_table_privilege('rowferry_viewer', to_regclass('rowferry.' || v.name), 'select'), 'view ' || v.name || ', for viewers'
from unnest('{sync_events}'::text[]) v (name)
union all
select has_function_privilege('rowferry_worker', 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)', 'execute'), 'process_batch(), for the worker';
