-- Fully qualified, not strict and without SET, so that it is inlined, in indexes too.
create or replace function rowferry._index_key(
  p_record_id text
)
returns text
language sql
immutable
parallel safe
as $$
  select case when pg_catalog.octet_length(p_record_id) operator(pg_catalog.<=) 1000 then p_record_id else rowferry._long_key(p_record_id) end
$$;
comment on function rowferry._index_key(text) is
  'What an index holds of a record_id: the text itself up to 1,000 bytes, else its beginning and a digest, because an index takes no longer texts. No two '
  'records have the same.';
