-- What became of attached tables since attach() looked at them.
create or replace function rowferry._check_tables(
  p_peer text
)
returns table (
  severity text,
  object text,
  problem text,
  fix text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'error', case when exists (select from pg_class c where c.oid = e.relation) then e.relation::text else format('entity %s', e.name) end, a.o_problem, a.o_fix
  from rowferry.entities e
  cross join lateral rowferry._table_apart(e) a
  where e.peer = p_peer and a.o_problem is not null and (a.o_unusable or e.direction <> 'receive')
  union all
  select 'error', c.oid::regclass::text, 'it forces row-level security on its owner, who would not see all rows', format('alter table %s no force row level security;', c.oid::regclass)
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  join pg_roles r on r.oid = c.relowner
  where e.peer = p_peer and c.relforcerowsecurity and not r.rolbypassrls and not r.rolsuper
  union all
  select 'error', c.oid::regclass::text, 'it is unlogged: a crash empties it on this node only', format('alter table %s set logged;', c.oid::regclass)
  from rowferry.entities e
  cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) t
  join pg_class c on c.oid = t.relid
  where e.peer = p_peer and c.relpersistence = 'u'
  union all
  select 'error', c.oid::regclass::text, format('its rule %s may rewrite what would be captured', w.rulename), format('drop rule %I on %s; and use a trigger.', w.rulename, c.oid::regclass)
  from rowferry.entities e
  cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) t
  join pg_class c on c.oid = t.relid
  join pg_rewrite w on w.ev_class = c.oid
  where e.peer = p_peer
  union all
  select 'error', e.relation::text, format('no unique index over its key (%s) any more, or one of its columns may be null', array_to_string(k.columns, ', ')),
    format('alter table %s add unique (%s), %s;', e.relation, (select string_agg(quote_ident(c), ', ') from unnest(k.columns) c),
      (select string_agg(format('alter %I set not null', c), ', ') from unnest(k.columns) c))
  from rowferry.entities e
  cross join lateral (select array_agg(c.local order by c.local collate "C") from rowferry._entity_columns(e) c where c.key_position is not null) k (columns)
  where e.peer = p_peer and cardinality(k.columns) = cardinality(e.key_columns)
    and not exists (
      select from pg_index i
      where i.indrelid = e.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (select array_agg(a.attname::text order by a.attname::text collate "C") from pg_attribute a
          where a.attrelid = e.relation and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and a.attnotnull) = k.columns)
  union all
  select 'info', e.relation::text, format('column %s does not travel', a.attname),
    case when e.columns_given or e.outbound is not null then format('select rowferry.attach(%L, p_columns => ..);  -- with it, on both nodes, where it is to', e.relation)
      else format('select rowferry.attach(%L);  -- on both nodes, where it is to; where it is not: p_columns => the others', e.relation) end
  from rowferry.entities e
  join pg_attribute a on a.attrelid = e.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  where e.peer = p_peer and a.attname <> all (rowferry._captured_columns(e))
  union all
  select s.o_severity, s.o_child::text, s.o_problem, s.o_fix from rowferry._not_following(p_peer) s
  union all
  select 'warning', e.relation::text, format('its rows follow those of %s, and no index begins with (%s): all rows are searched for those that follow one', e.within, array_to_string(e.within_columns, ', ')),
    rowferry._lacking_index(e)
  from rowferry.entities e
  where e.peer = p_peer and rowferry._lacking_index(e) is not null
  union all
  select 'error', e.relation::text, format('its rows follow those of %s, and the foreign key (%s) that says which is gone', e.within, array_to_string(e.within_columns, ', ')),
    format('alter table %s add foreign key (%s) references %s (%s); or, to keep all rows in sync: select rowferry.attach(%L, p_within => '''');', e.relation,
      (select string_agg(quote_ident(c), ', ') from unnest(e.within_columns) c), p.relation, (select string_agg(quote_ident(c), ', ') from unnest(e.within_parent_columns) c), e.relation::text)
  from rowferry.entities e
  join rowferry.entities p on p.name = e.within
  where e.peer = p_peer and not exists (
    select from rowferry._foreign_keys f where f.relation = e.relation and f.parent_relation = p.relation and f.columns = e.within_columns)
  union all
  select 'error', e.relation::text, format('its owner, %I, may not read %s, whose rows its rows follow', o.rolname, p.relation), format('grant select on %s to %I;', p.relation, o.rolname)
  from rowferry.entities e
  join rowferry.entities p on p.name = e.within
  join pg_class c on c.oid = e.relation
  join pg_roles o on o.oid = c.relowner
  where e.peer = p_peer and exists (select from pg_class t where t.oid = p.relation) and not has_table_privilege(o.oid, p.relation, 'select')
  union all
  select 'info', e.relation::text, format('its foreign key %s refers to %s, which is not kept in sync: rows without a parent here are refused', f.name, f.parent_relation),
    format('select rowferry.attach(%L); on both nodes, or keep it equal by other means.', f.parent_relation)
  from rowferry.entities e
  join rowferry._foreign_keys f on f.child_id = e.id and not f.is_copy
  where e.peer = p_peer and f.parent_peer is distinct from p_peer
  union all
  select 'warning', e.relation::text, c.o_problem, c.o_fix
  from rowferry.entities e
  cross join lateral rowferry._cycle_problem(e) c
  where e.peer = p_peer and c.o_problem is not null and e.id = (select min(y.id) from rowferry._cycle(e) y)
  union all
  select case when c.last is null then 'info' else 'warning' end, e.relation::text,
    case when c.last is null then 'its foreign keys form no cycle any more' else 'its foreign keys form a cycle: rows that refer to each other cannot be written yet' end,
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
  from rowferry.entities e
  cross join lateral (select case when rowferry._written_together(array_agg(y)) then max(y.id) end from rowferry._cycle(e) y) c (last)
  where e.peer = p_peer and e.cycle is distinct from c.last
$$;
comment on function rowferry._check_tables(text) is 'For check(): what became of attached tables.';
