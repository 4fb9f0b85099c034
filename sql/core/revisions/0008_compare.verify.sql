-- Both nodes can be compared and repaired.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{compare,repair,first_contact}'::text[]) f (name)
union all
select to_regclass('rowferry.' || t.name) is not null, 'table ' || t.name
from unnest('{comparisons,compared_records}'::text[]) t (name)
union all
select has_table_privilege('rowferry_viewer', to_regclass('rowferry.' || v.name), 'select'), 'view ' || v.name || ', for viewers'
from unnest('{compare_runs,compare_report,differences,backfill_progress}'::text[]) v (name);
