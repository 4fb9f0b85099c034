create or replace function rowferry._check_tables(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with tables as (
    select t.relid::regclass as relation, c.relpersistence
    from rowferry.entities e
    cross join lateral (select p.relid from pg_partition_tree(e.relation) p union select e.relation) t
    join pg_class c on c.oid = t.relid
    where e.peer = p_peer
  )
  select 'error', case when exists (select from pg_class c where c.oid = e.relation) then e.relation::text else format('entity %s', e.name) end,
    a.o_problem, a.o_fix
  from rowferry.entities e
  cross join lateral rowferry._table_apart(e) a
  where e.peer = p_peer and a.o_problem is not null and (a.o_unusable or e.direction <> 'receive')
  union all
  select 'error', c.oid::regclass::text, 'it forces row-level security on its owner, who would not see all rows',
    format('alter table %s no force row level security;', c.oid::regclass)
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  join pg_roles r on r.oid = c.relowner
  where e.peer = p_peer and c.relforcerowsecurity and not r.rolbypassrls and not r.rolsuper
  union all
  select 'error', t.relation::text, 'it is unlogged: a crash empties it on this node only', format('alter table %s set logged;', t.relation)
  from tables t
  where t.relpersistence = 'u'
  union all
  select 'error', t.relation::text, format('its rule %s may rewrite what would be captured', w.rulename),
    format('drop rule %I on %s; and use a trigger.', w.rulename, t.relation)
  from tables t
  join pg_rewrite w on w.ev_class = t.relation
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
    case
      when e.columns_given and e.outbound is null and a.attname <> all (e.columns)
        then format('select rowferry.attach(%L, %L, p_columns => %L);  -- where it is to; then what check() says on %s; before another column, check() again',
          e.relation, e.name, (select jsonb_object_agg(c.name, c.local) from unnest(e.columns, e.local_columns) c (name, local))
            || jsonb_build_object(a.attname, a.attname), p_peer)
      else format(case
        when e.columns_given or e.outbound is not null then 'select rowferry.attach(%L%s, p_columns => ..);  -- with it, on both nodes, where it is to'
        else 'select rowferry.attach(%L%s);  -- on both nodes, where it is to; where it is not: p_columns => the others' end, e.relation,
        rowferry._which_entity(p_peer, e.name)) end
  from rowferry.entities e
  join pg_attribute a on a.attrelid = e.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  where e.peer = p_peer and a.attname <> all (rowferry._captured_columns(e))
  union all
  -- Triggers of users that lack the guard which attach() would give them today, or have one that it would take away.
  select 'warning', u.relation::text,
    format(case
        when not u.guarded then 'its trigger %s, which is not ENABLE ALWAYS, runs for rows of %s too: it was made or replaced since attach()'
        when e.trigger_rule = 'guard' and u.enabled = 'A' then 'its trigger %s does not run for rows of %s, although it is ENABLE ALWAYS by now'
        else 'its trigger %s has a guard that it should not have' end, u.name, e.peer),
    format('select rowferry.attach(%L, %L);', e.relation, e.name)
      || case when not u.guarded then format(' or, if it is to run: alter table %s enable always trigger %I;', u.relation, u.name) else '' end
  from rowferry.entities e
  cross join lateral rowferry._users_triggers(e.relation) u
  where e.peer = p_peer and u.id = u.root and u.enabled <> 'D' and u.guarded <> (e.trigger_rule = 'guard' and u.enabled = 'O' and exists (
    select from rowferry.entities o where o.relation = e.relation and o.direction <> 'send'))
$$;
comment on function rowferry._check_tables(text) is
  'For check(): what became of attached tables and of their triggers since attach() looked at them.';
