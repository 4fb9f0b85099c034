-- The exchanges are logged.
select to_regclass('rowferry.' || t.name) is not null, 'table ' || t.name
from unnest('{batches,traffic}'::text[]) t (name);
