-- Tables can be attached and detached, and the triggers' function is closed to public.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{attach,detach,set_rules,_refuse_truncate,_capture_sql}'::text[]) f (name);
