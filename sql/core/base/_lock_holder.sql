create or replace function rowferry._lock_holder(
  p_key bigint
)
returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$ select h.o_pid from rowferry._lock_holders(p_key) h where not h.o_stranger limit 1 $$;
comment on function rowferry._lock_holder(bigint) is
  'The server process that holds an advisory lock of this database, other than a stranger''s; null: none does.';
