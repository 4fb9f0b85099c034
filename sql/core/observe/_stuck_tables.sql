create or replace function rowferry._stuck_tables(
  p_peer text
)
returns setof rowferry._cause
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  with recursive tables (id) as (
    select e.relation::oid from rowferry.entities e where e.peer = p_peer
    union all
    -- pg_partition_tree() would wait for a partition that somebody has locked.
    select i.inhrelid from pg_inherits i join tables t on t.id = i.inhparent
  )
  select 'warning', format('table %s is locked (%s)', k.o_relation::regclass, k.o_mode), coalesce(k.o_began_at, rowferry._seen_at(k.o_xid)),
    k.o_object, k.o_next
  from rowferry._locks(
    array(select t.id from tables t) || array(select c.oid from pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r'),
    array['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']) k
  order by 3, k.o_relation
  limit 20;
  return query
  select 'warning', c.cause || rowferry._others_wait((select sum(r.o_others) from rowferry._roots(p_peer) r where r.o_entity_id = e.id), 2), e.paused_at,
    'entity ' || e.name, c.next
  from rowferry.entities e
  cross join lateral (
    select 'paused by ' || e.paused_by, format('select * from rowferry.resume(%L, %L);', e.peer, e.name)
    where e.paused_at is not null
    union all
    select case e.held_until when 'infinity' then format('waits for a person: %s (%s)', e.held_error, e.held_sqlstate)
        else format('held as a whole, tried %s: %s (%s)', case e.held_attempts when 1 then 'once' else e.held_attempts || ' times' end,
          e.held_error, e.held_sqlstate) end, e.held_hint
    where e.paused_at is null and e.held_attempts > 0
      and not (e.held_here and coalesce((rowferry._table_apart(e)).o_unusable, false))  -- then _uncaptured() has said it
  ) c (cause, next)
  where e.peer = p_peer
  order by e.paused_at, e.name;
end
$$;
comment on function rowferry._stuck_tables(text) is 'For why_stuck(): tables that somebody has locked, and entities that are paused or held as a whole.';
