create or replace function rowferry._uncaptured(
  p_peer text
)
returns table (
  entity text,
  object text,
  problem text,
  fix text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select e.name, 'entity ' || e.name, case when a.o_unusable then e.name else e.relation::text end || ': ' || a.o_problem, a.o_fix
  from rowferry.entities e
  cross join lateral rowferry._table_apart(e) a
  where e.peer = p_peer and a.o_problem is not null and (a.o_unusable or e.direction <> 'receive')
  order by e.id;
  return query
  select e.name, 'entity ' || e.name, format('%s: %s', e.relation, f.o_problem), f.o_fix
  from rowferry.entities e
  cross join lateral rowferry._filter_problem(e) f
  where e.peer = p_peer and e.direction <> 'receive' and f.o_fails and exists (select from pg_class c where c.oid = e.relation)
  order by e.id;
  return query
  select e.name, 'entity ' || e.name,
    format('on %s, as it said at %s, %s: %s', p_peer, to_char(p.heard_at, 'YYYY-MM-DD HH24:MI:SS'), f.value ->> 'relation', f.value #>> '{apart,problem}'),
    rowferry._on_node(f.value #>> '{apart,fix}', p_peer)
  from rowferry.peer_facts p
  cross join lateral jsonb_each(p.facts -> 'entities') f
  join rowferry.entities e on e.name = f.key and e.peer = p_peer
  where p.peer = p_peer and jsonb_typeof(f.value -> 'apart') = 'object'
  order by e.id;
  return query
  select e.name, 'trigger'::text,
    format('changes of %s are not captured, its trigger %s %s', t.relation, w.name,
      case when t.oid is null then 'is gone' when t.tgenabled <> 'A' then 'is disabled' else 'was altered' end),
    case when t.oid is null or t.tgenabled = 'A'
      then 'select * from rowferry.check();  -- it says how to make the trigger again, and how to send what was missed'
      else format('alter table %s enable always trigger %I; select rowferry.backfill(%L);', t.relation, w.name, e.name) end
  from rowferry.entities e
  join pg_class c on c.oid = e.relation
  join (values
    ('p', 'rowferry_capture', 29, null, null),
    ('r', 'rowferry_capture_insert', 4, null, 'new_rows'),
    ('r', 'rowferry_capture_update', 16, 'old_rows', 'new_rows'),
    ('r', 'rowferry_capture_delete', 8, 'old_rows', null),
    (null, 'rowferry_truncate', 34, null, null)) k (kind, name, type, old_rows, new_rows) on c.relkind = coalesce(k.kind::"char", c.relkind)
  cross join lateral (select t.name, t.trigger_suffix from rowferry._captured_together(e) t limit 1) f
  cross join lateral (
    select k.kind, k.name || case when k.kind is not null then f.trigger_suffix else '' end, k.type, k.old_rows, k.new_rows
  ) w (kind, name, type, old_rows, new_rows)
  cross join lateral (
    select e.relation, g.oid, g.tgenabled, g.tgfoid, g.tgtype, g.tgqual, g.tgattr, g.tgoldtable, g.tgnewtable
    from (values (1)) v
    left join pg_trigger g on g.tgrelid = e.relation and g.tgname = w.name
    union all
    -- A row trigger of a partitioned table has a copy in each partition.
    select g.tgrelid::regclass, g.oid, g.tgenabled, g.tgfoid, g.tgtype, g.tgqual, g.tgattr, g.tgoldtable, g.tgnewtable
    from (
      -- pg_partition_tree() would wait for a partition that somebody has locked.
      with recursive parts (relid) as (
        select i.inhrelid from pg_inherits i where i.inhparent = e.relation and w.kind = 'p'
        union all
        select i.inhrelid from parts p join pg_inherits i on i.inhparent = p.relid
      )
      select p.relid from parts p) p
    join pg_trigger g on g.tgrelid = p.relid and g.tgname = w.name
  ) t
  where e.peer = p_peer and e.direction <> 'receive'
    and (t.tgenabled, t.tgfoid::bigint, t.tgtype, t.tgqual::text, t.tgattr::text, t.tgoldtable::text, t.tgnewtable::text) is distinct from
      ('A'::"char", to_regprocedure(case w.name when 'rowferry_truncate' then 'rowferry._refuse_truncate()'
        else format('rowferry.%I()', rowferry._generated_name('capture_', f.name)) end)::bigint, w.type::smallint, null::text, '', w.old_rows, w.new_rows)
  order by e.id, w.name
  limit 20;
end
$$;
comment on function rowferry._uncaptured(text) is
  'Tables of a link whose changes are not captured any more, or not all of them, with the way out: a trigger of rowferry''s was disabled, dropped or '
  'altered, or the table or a column is another one by now, here or, as the peer said, there.';
