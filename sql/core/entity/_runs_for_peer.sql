-- This function is called for each batch, so only a trigger that depends on is_applying(), or is a copy, is looked at in full.
create or replace function rowferry._runs_for_peer(
  p_trigger pg_trigger
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  v_function pg_proc;
begin
  if p_trigger.tgenabled not in ('A', 'O') or p_trigger.tgtype & 28 = 0 or p_trigger.tgisinternal and p_trigger.tgparentid = 0 then
    return false;
  end if;
  select p.* into v_function from pg_proc p where p.oid = p_trigger.tgfoid;
  -- Before PostgreSQL 15 the copies of a trigger in partitions are internal, as are the triggers of foreign keys.
  if v_function.pronamespace = 'rowferry'::regnamespace or p_trigger.tgisinternal and v_function.proname ^@ 'RI_FKey_' then
    return false;
  elsif p_trigger.tgparentid = 0 and not exists (  -- a copy in a partition has no dependency of its own
    select from pg_depend d
    where d.classid = 'pg_trigger'::regclass and d.objid = p_trigger.oid
      and d.refclassid = 'pg_proc'::regclass and d.refobjid = 'rowferry.is_applying()'::regprocedure) then
    return true;
  end if;
  return not (rowferry._guard_forms(pg_get_triggerdef(p_trigger.oid))).o_guarded;
end
$$;
comment on function rowferry._runs_for_peer(pg_trigger) is 'Whether a user''s trigger runs for rows of a peer too: it is ENABLE ALWAYS, or it has no guard.';
