-- What people look at can be looked at.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{why_stuck,row_status}'::text[]) f (name)
union all
select has_table_privilege('rowferry_viewer', to_regclass('rowferry.' || v.name), 'select'), 'view ' || v.name || ', for viewers'
from unnest('{status}'::text[]) v (name);
