-- Holds whole entities, those of the entries that name no record: the peer cannot take any row of them, or this node cannot read them. Tried
-- again after 1, 2, 4, 8, then every 15 seconds, so that delivery goes on by itself once the schemas fit.
create or replace function rowferry._hold_entities(
  p_refusals jsonb
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.entities n
  set held_attempts = n.held_attempts + 1,
    held_until = rowferry._now() + least(power(2, least(n.held_attempts, 10)), 15) * interval '1 s',
    held_sqlstate = r ->> 'sqlstate', held_error = r ->> 'message', held_hint = r ->> 'hint'
  from jsonb_array_elements(p_refusals) r
  where n.name = r ->> 'entity' and not r ? 'record_id'
$$;
comment on function rowferry._hold_entities(jsonb) is 'Holds entities that cannot travel as a whole.';
revoke all on function rowferry._hold_entities(jsonb) from public;
