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
    coalesce(rowferry._column_pairs(p_peer, e.name, a.attname, m.facts, t.facts) || '; otherwise: ', '') || case
      when e.outbound is not null then format('select rowferry.attach(%L%s, p_columns => ..);  -- with it, on both nodes, where it is to', e.relation,
        rowferry._which_entity(p_peer, e.name))
      when e.columns_given and a.attname = any (e.columns) then
        format('select rowferry.attach(%L%s, p_columns => ..);  -- with it, under a name that no other column has between the nodes, where it is to; then what '
          'check() says on %s', e.relation, rowferry._which_entity(p_peer, e.name), p_peer)
      else format('%s  -- where it is to (%s); then %s',
        case when e.columns_given then rowferry._take_in_call(e.name, m.facts, jsonb_build_object(a.attname, a.attname))
          else format('select rowferry.attach(%L%s);', e.relation, rowferry._which_entity(p_peer, e.name)) end,
        case when e.columns_given then 'one column at a time' else 'else p_columns => the others' end,
        case when t.facts is null then 'what check() says on ' || p_peer
          when w.more is null then 'it is kept in sync, as on ' || p_peer
          else format('on %s%s: %s', p_peer,
            case when coalesce(t.facts -> 'others', '{}') ?& array(select jsonb_object_keys(w.more)) then ''
              else format(', once %s has %s', coalesce(t.facts ->> 'outbound', t.facts ->> 'relation'),
                (select string_agg(k, ', ' order by k collate "C") from jsonb_object_keys(w.more) k)) end,
            rowferry._take_in_call(e.name, t.facts, w.more)) end) end
  from rowferry.entities e
  join pg_attribute a on a.attrelid = e.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  cross join lateral (
    select jsonb_strip_nulls(jsonb_build_object('relation', e.relation::text, 'named', nullif(e.columns_given, false), 'outbound', e.outbound,
      'key', e.key_columns, 'others', rowferry._other_columns(e), 'columns', (
        select jsonb_object_agg(c.name, jsonb_build_object('local', c.local, 'type', rowferry._type_spelled(l.atttypid, l.atttypmod, true)))
        from unnest(e.columns, e.local_columns) c (name, local)
        join pg_attribute l on l.attrelid = e.relation and l.attname = c.local)))) m (facts)
  left join lateral (
    -- The peer's facts, if they have a form that can be read.
    select f.facts #> array['entities', e.name]
    from rowferry.peer_facts f
    where f.peer = p_peer and jsonb_typeof(f.facts #> array['entities', e.name, 'columns']) = 'object'
      and coalesce(jsonb_typeof(f.facts #> array['entities', e.name, 'others']), 'object') = 'object') t (facts) on true
  cross join lateral (
    -- Without p_columns, attach() takes all columns in.
    select jsonb_object_agg(k, k)
    from (select a.attname where e.columns_given union select jsonb_object_keys(m.facts -> 'others') where not e.columns_given) o (k)
    where not t.facts -> 'columns' ? k) w (more)
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
