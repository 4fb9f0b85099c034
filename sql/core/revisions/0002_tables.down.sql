do $$
begin
  if exists (select from rowferry.entities) then
    raise exception using errcode = 'RF012', message = 'tables are still attached',
      detail = (select string_agg(name, ', ' order by name) from rowferry.entities),
      hint = 'Detach them first: alembic -n site downgrade base, or select rowferry.detach(name) from rowferry.entities;';
  end if;
end
$$;
drop table rowferry.conflicts, rowferry.skips, rowferry.backfills, rowferry.applying, rowferry.taken_batches,
  rowferry.built_batches, rowferry.held_events, rowferry.events;
drop type rowferry._section;
drop table rowferry.entities;
drop sequence rowferry.entity_ids;
drop table rowferry.links;
drop function rowferry.configure_node(text, text[]);
drop function rowferry._identity();
drop function rowferry._now();
