create or replace function rowferry._written_here(
  p_written_by xid
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_xact_status((pg_current_xact_id()::text::bigint - age(p_written_by))::text::xid8) = 'in progress'
$$;
comment on function rowferry._written_here(xid) is
  'Whether a row that this transaction sees was written by it (p_written_by is its xmin), and not by another one, such as the exchange of another link, that '
  'has ended meanwhile.';
