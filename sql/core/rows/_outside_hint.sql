create or replace function rowferry._outside_hint(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('There only rows of %s%s%s are kept in sync: change the row, here or there, or give the change up: select rowferry.skip(id, reason);',
    p_entity.relation, ' with ' || p_entity.filter, (select format(' whose row of %s is kept in sync', p.relation) from rowferry.entities p
      where p.name = p_entity.within))
$$;
comment on function rowferry._outside_hint(rowferry.entities) is
  'What the peer is told to do with a row that is refused here because it is outside of what is kept in sync.';
