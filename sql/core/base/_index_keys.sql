create or replace function rowferry._index_keys(
  p_record_ids text[]
)
returns text[]
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$ select array(select rowferry._index_key(k) from unnest(p_record_ids) k) $$;
comment on function rowferry._index_keys(text[]) is '_index_key() of each record_id, to look for many records at once.';
