create or replace function rowferry._id_count(
  p_ids int8multirange
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(sum(upper(r) - lower(r)), 0)::bigint from unnest(p_ids) r $$;
comment on function rowferry._id_count(int8multirange) is 'How many ids are in ranges of ids.';
