create or replace function rowferry._end_wait(
  p_entity_id integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from rowferry.waiting_runs w using rowferry.entities e where w.entity_id = p_entity_id and e.id = w.entity_id and e.paused_at is null;
  update rowferry.entities e
  set held_here = false, held_attempts = case when e.paused_at is null then 0 else 1 end,
    held_until = case when e.paused_at is not null then 'infinity'::timestamptz end,
    held_sqlstate = case when e.paused_at is not null then 'RF027' end,
    held_error = case when e.paused_at is not null then format('paused by %s since %s', e.paused_by, to_char(e.paused_at, 'YYYY-MM-DD HH24:MI:SS')) end,
    held_hint = case when e.paused_at is not null then format('select * from rowferry.resume(p_entity => %L);', e.name) end
  where e.id = p_entity_id;
end
$$;
comment on function rowferry._end_wait(integer) is
  'Lets an entity go on that is held as a whole, unless it is paused. What the peer refuses will be refused again.';
