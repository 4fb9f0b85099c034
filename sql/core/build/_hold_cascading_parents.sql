create or replace function rowferry._hold_cascading_parents(
  p_peer text,
  p_deletes jsonb,
  p_hint text
)
returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
  with recursive waiting (entity_id, name) as (
    select e.id, e.name from rowferry.entities e where e.peer = p_peer and e.held_sqlstate = 'RF026'
    union
    select f.parent_id, w.name from waiting w join rowferry._foreign_keys f on f.child_id = w.entity_id and f.parent_id <> f.child_id
      and f.child_peer = f.parent_peer and f.on_delete = 'c'
  ), held (id) as (
    update rowferry.entities e
    set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026', held_hint = format(p_hint, e.name),
      held_error = format('its deletes would take rows of %s with them on %s, which wait', w.name, p_peer)
    from waiting w
    where e.id = w.entity_id and e.held_sqlstate is distinct from 'RF026' and p_deletes ? e.id::text
    returning e.id
  )
  select exists (select from held)
$$;
comment on function rowferry._hold_cascading_parents(text, jsonb, text) is
  'Holds the entities with deletes in a batch (p_deletes) whose deletes would cascade on the peer to rows of an entity that waits for approve(). It returns '
  'true if there are any.';
