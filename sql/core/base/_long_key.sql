-- Apart from _index_key(), which is part of every statement that uses an index by it: the expression there has to be short. The SET keeps this from becoming
-- part of it.
create or replace function rowferry._long_key(
  p_record_id text
)
returns text
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select rpad(left(p_record_id, 200) || encode(sha256(replace(p_record_id, E'\\', E'\\\\')::bytea), 'hex'), 1001)
$$;
comment on function rowferry._long_key(text) is
  'What an index holds of a record_id of more than 1,000 bytes: its beginning and a digest. It is longer than the text of any shorter record_id.';
