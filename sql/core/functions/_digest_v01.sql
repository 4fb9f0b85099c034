-- The digest of all batches of a generation up to one: the batch's number, tag and the events that were taken of it, on top of the digest before. Both nodes
-- compute it, each from what it knows itself.
create or replace function rowferry._digest(
  p_before bigint,
  p_number bigint,
  p_tag uuid,
  p_ids int8multirange
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select hashtextextended(concat_ws(' ', p_number, p_tag, p_ids) collate "C", p_before) $$;
comment on function rowferry._digest(bigint, bigint, uuid, int8multirange) is 'The digest of all batches up to this one.';
revoke all on function rowferry._digest(bigint, bigint, uuid, int8multirange) from public;
