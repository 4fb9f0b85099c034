-- Checks and fires all that is deferred, with the rights of the tables' owner: before PostgreSQL 18 a deferred trigger has the rights of whoever
-- makes it fire.
create or replace function rowferry._finish(
  p_sections rowferry._section[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(p_sections) > 0 then
    execute format('select rowferry.%I()', rowferry._object_name('finish_', (p_sections[array_upper(p_sections, 1)]).entity));
  end if;
end
$$;
comment on function rowferry._finish(rowferry._section[]) is 'Checks and fires all that is deferred, with the rights of the tables'' owner.';
revoke all on function rowferry._finish(rowferry._section[]) from public;
