create or replace function rowferry._estimated_rows(
  p_relation regclass
)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select greatest(sum(c.reltuples), 0)::bigint
  from pg_class c
  where c.oid in (select p_relation::oid union select t.relid from pg_partition_tree(p_relation) t where t.isleaf)
$$;
comment on function rowferry._estimated_rows(regclass) is 'Rows of a table, its partitions included, by the statistics of the server.';
