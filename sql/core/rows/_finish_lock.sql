create or replace function rowferry._finish_lock(
  p_entity text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_section rowferry._section;
begin
  if current_setting('server_version_num')::integer < 180000 then
    v_section.entity := p_entity;
    perform rowferry._finish(array[v_section]);
    set constraints all deferred;
  end if;
end
$$;
comment on function rowferry._finish_lock(text) is
  'Before PostgreSQL 18: fires what was deferred while rows of an entity were locked, with the rights of the table''s owner. Where a view has come in the '
  'table''s place, its owner''s functions ran, and no read-only transaction can lock rows.';
