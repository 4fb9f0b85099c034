-- The exchanges are logged, and the log can be proved.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{audit,measure_capture_cost}'::text[]) f (name)
union all
select to_regclass('rowferry.' || t.name) is not null, 'table ' || t.name
from unnest('{batches,traffic,left_events,audit_problems,capture_cost}'::text[]) t (name);
