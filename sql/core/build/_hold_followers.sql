create or replace function rowferry._hold_followers(
  p_entity rowferry.entities,
  p_itself boolean
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select rowferry._hold_entities(jsonb_build_array(jsonb_build_object('entity', f.name, 'here', true, 'sqlstate', '57014',
    'message', case when f.within is null then 'this node runs out of time reading its rows that moved'
      else format('this node runs out of time looking for its rows that follow rows of %s', f.within)
        || case when f.index is null then '' else ': no index finds them' end end,
    'hint', coalesce(f.index, format('analyze %s;', f.relation)) || '  -- the entity is tried again without a person')))
  from (
    select e.*, rowferry._lacking_index(e) as index
    from rowferry._with_followers(p_entity.name) w
    join rowferry.entities e on e.name = w.o_name
    where w.o_depth = 0 or e.direction <> 'receive'
    order by rowferry._lacking_index(e) is null, w.o_depth = 0 and not p_itself, w.o_depth, e.id
    limit 1
  ) f
$$;
comment on function rowferry._hold_followers(rowferry.entities, boolean) is
  'Holds one entity after a look for the rows that follow rows of p_entity has taken too long (with p_itself, a look for rows of p_entity itself). It is the '
  'entity that lacks an index, if there is one. It is tried again later without a person, and other entities go on in the meantime.';
