-- Anyone can turn the setting rowferry.applying on, but only rowferry_owner can write a row in rowferry.applying. The function is called for each row that is
-- applied: PL/pgSQL, which plans once in a session, and no SET, hence each name is qualified.
create or replace function rowferry.is_applying()
returns boolean
language plpgsql
stable
security definer
as $$
begin
  perform from rowferry.applying a
  where a.transaction_id operator(pg_catalog.=) pg_catalog.pg_current_xact_id_if_assigned() and a.entity_id operator(pg_catalog.=) 0;
  return found;
end
$$;
comment on function rowferry.is_applying() is
  'Whether this transaction is writing rows of a peer just now: true for triggers and functions that run for such a row, false for all else. No setting '
  'can make it true. It stands in the WHEN of the triggers that attach() guards, so everybody may execute it; it tells nothing else.';
grant execute on function rowferry.is_applying() to public;
