create or replace function rowferry._outside_hint(
  p_entity rowferry.entities,
  p_present boolean
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when p_present then format('select * from rowferry.retry(%1$L);  -- once the row of %2$s that has this key on %3$s is deleted there, '
        'or is changed there so that it is kept in sync too (only rows%4$s are); or give the change up: select * from rowferry.skip(id, ''reason'');',
      p_entity.name, p_entity.relation, n.name, k.which)
    else format('select * from rowferry.retry(%L);  -- once the row is changed here so that it is kept in sync there too (only rows of %s%s are); '
        'or give the change up: select * from rowferry.skip(id, ''reason'');', p_entity.name, p_entity.relation, k.which) end
  from rowferry.node n
  cross join lateral (
    -- A line break would end the comment that begins with the two dashes.
    select translate(concat(' with ' || p_entity.filter, (
      select format(' whose row of %s is kept in sync', p.relation) from rowferry.entities p where p.name = p_entity.within)), E'\n\r', '  ')) k (which)
$$;
comment on function rowferry._outside_hint(rowferry.entities, boolean) is
  'What the peer is told to do with a row that is refused here: with p_present because the row that has its key here is outside of what is kept in sync, '
  'without it because the row itself would be.';
