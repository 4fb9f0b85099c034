-- TRUNCATE fires no row trigger: it would empty this side and not the other.
create or replace function rowferry._refuse_truncate()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'RF005', message = 'a table kept in sync cannot be truncated',
    detail = format('%I.%I is attached to rowferry.', tg_table_schema, tg_table_name),
    hint = 'Use delete, or take the table out of sync first: select rowferry.detach(name) from rowferry.entities;';
end
$$;
comment on function rowferry._refuse_truncate() is 'Refuses TRUNCATE on a table kept in sync.';
revoke all on function rowferry._refuse_truncate() from public;
