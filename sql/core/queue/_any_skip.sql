create or replace function rowferry._any_skip(
  p_entity_id integer default null
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return case when p_entity_id is null then exists (select from rowferry.skips s where s.ended_at is null)
    else exists (select from rowferry.skips s where s.ended_at is null and s.entity_id = p_entity_id) end;
end
$$;
comment on function rowferry._any_skip(integer) is
  'Whether any skip is in force, of an entity or at all: one that waits for its answer, or keeps its record different on purpose. It costs little, however '
  'many skips have ended.';
