-- Records that rows of a section refer to by foreign key, where the key of an entity is what is referred to.
create or replace function rowferry._parents(
  p_section rowferry._section
)
returns table (
  entity_id integer,
  record_id text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct p.entity_id, p.record_id from rowferry._parent_pairs(p_section) p
$$;
comment on function rowferry._parents(rowferry._section) is 'Records that the rows of a section refer to by foreign key.';
revoke all on function rowferry._parents(rowferry._section) from public;
