create or replace function rowferry._check_foreign_keys(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select s.o_severity, s.o_child::text, s.o_problem, s.o_fix from rowferry._not_following(p_peer) s
  union all
  select 'warning', e.relation::text,
    format('its rows follow those of %s, and no index begins with (%s): all rows are searched for those that follow one', e.within,
      array_to_string(e.within_columns, ', ')), rowferry._lacking_index(e)
  from rowferry.entities e
  where e.peer = p_peer and rowferry._lacking_index(e) is not null
  union all
  select 'error', e.relation::text,
    format('its rows follow those of %s, and the foreign key (%s), which says whose row each one follows, is gone', e.within,
      array_to_string(e.within_columns, ', ')),
    format('alter table %s add foreign key (%s) references %s (%s); or, to keep all rows in sync: select rowferry.attach(%L%s, p_within => '''');', e.relation,
      (select string_agg(quote_ident(c), ', ') from unnest(e.within_columns) c), p.relation,
      (select string_agg(quote_ident(c), ', ') from unnest(e.within_parent_columns) c), e.relation::text, rowferry._which_entity(p_peer))
  from rowferry.entities e
  join rowferry.entities p on p.name = e.within
  where e.peer = p_peer and not exists (
    select from pg_constraint f
    where f.conrelid = e.relation and f.confrelid = p.relation and f.contype = 'f' and e.within_columns = array(
      select a.attname::text
      from unnest(f.conkey) with ordinality k (number, ord)
      join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number
      order by k.ord))
  union all
  select 'error', e.relation::text, format('its owner, %I, may not read %s, whose rows its rows follow', o.rolname, p.relation),
    format('grant select on %s to %I;', p.relation, o.rolname)
  from rowferry.entities e
  join rowferry.entities p on p.name = e.within
  join pg_class c on c.oid = e.relation
  join pg_roles o on o.oid = c.relowner
  where e.peer = p_peer and exists (select from pg_class t where t.oid = p.relation) and not has_table_privilege(o.oid, p.relation, 'select')
  union all
  select 'info', e.relation::text,
    format('its foreign key %s refers to %s, which is not kept in sync: rows without a parent here are refused', f.conname, f.confrelid::regclass),
    format('select rowferry.attach(%L%s); on both nodes, or keep it equal by other means.', f.confrelid::regclass, rowferry._which_entity(p_peer))
  from rowferry.entities e
  join pg_constraint f on f.conrelid = e.relation and f.contype = 'f' and f.conparentid = 0
  where e.peer = p_peer and not rowferry._is_outbox(p_peer)
    and not exists (select from rowferry.entities p where p.relation = f.confrelid and p.peer = p_peer)
  union all
  select 'warning', e.relation::text, c.o_problem, c.o_fix
  from rowferry.entities e
  cross join lateral rowferry._cycle_problem(e) c
  where e.peer = p_peer and not rowferry._is_outbox(p_peer) and c.o_problem is not null and e.id = (select min(y.id) from rowferry._cycle(e) y)
  union all
  select case when c.last is null then 'info' else 'warning' end, e.relation::text,
    case when c.last is null then 'its foreign keys form no cycle any more'
      else 'its foreign keys form a cycle: rows that refer to each other cannot be written yet' end,
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
  from rowferry.entities e
  cross join lateral (select case when rowferry._written_together(array_agg(y)) then max(y.id) end from rowferry._cycle(e) y) c (last)
  where e.peer = p_peer and e.cycle is distinct from c.last
$$;
comment on function rowferry._check_foreign_keys(text) is
  'For check(): foreign keys along which rows follow others, that form a cycle, or that refer to a table that is not kept in sync.';
