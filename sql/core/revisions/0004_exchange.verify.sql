-- process_batch() is there, closed to public.
select w.is_there, w.name
from (values
  (rowferry.version() >= 1, 'version()'),
  (not exists (select from pg_proc p cross join lateral aclexplode(p.proacl) a where p.oid = 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)'::regprocedure
    and a.grantee = 0), 'process_batch() closed to public')
) w (is_there, name);
