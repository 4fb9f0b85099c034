create or replace function rowferry._not_following(
  p_peer text
)
returns table (
  o_severity text,
  o_child regclass,
  o_parent regclass,
  o_problem text,
  o_fix text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct on (c.id, p.id) case when coalesce(c.filter, c.within) is null then 'warning' else 'info' end, c.relation, p.relation,
    format('%2$s refuses a row of this table if the row of %1$s that it refers to is not kept in sync', p.relation, c.peer),
    format('select rowferry.attach(%L%s, p_within => %L);', c.relation::text, rowferry._which_entity(c.peer),
      case when count(*) over (partition by c.id, p.id) > 1 then f.name else p.name end)
  from rowferry._foreign_keys f
  join rowferry.entities c on c.id = f.child_id
  join rowferry.entities p on p.id = f.parent_id and p.id <> c.id and p.peer = c.peer
  where c.peer = p_peer and not rowferry._is_outbox(p_peer) and not f.is_copy
    and c.direction <> 'receive' and p.direction <> 'receive' and coalesce(p.filter, p.within) is not null
    and c.within is distinct from p.name
  order by c.id, p.id, f.name
$$;
comment on function rowferry._not_following(text) is
  'Tables whose rows refer to a table of which only some rows are kept in sync, and do not follow it: the peer refuses rows whose parent is not kept in sync. '
  'If the table has a filter of its own, that filter may already leave such rows out, so this is only info.';
