-- People can replay, and approve deletes.
select exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = f.name and p.proacl is not null), f.name || '(), closed to public'
from unnest('{replay,approve,skip_deletes,set_breaker,retry}'::text[]) f (name)
union all
select to_regclass('rowferry.' || t.name) is not null, 'table ' || t.name
from unnest('{breakers,waiting_runs}'::text[]) t (name);
