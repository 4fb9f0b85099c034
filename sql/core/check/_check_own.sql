create or replace function rowferry._check_own()
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with now as materialized (
    select * from rowferry._own_objects()
  )
  select 'error', r.object,
    case
      when n.object is null and r.name is null then format('this %s of the release is gone', r.kind)
      when n.object is null then format('its %s %s is gone', r.kind, r.name)
      when r.kind = 'view' then 'this view is not what the release made of it'
      when r.name is null then format('this %s is not what the release made of it, but %s', r.kind, n.definition)
      else format('its %s %s was altered: it is now %s', r.kind, r.name, n.definition) end,
    case when n.object is null then r.make when n.definition like '%, invalid' then format('reindex index %s;', r.name) else r.mend end
  from rowferry.released_objects r
  left join now n on n.kind = r.kind and n.object = r.object and n.name is not distinct from r.name
  where (n.object is null or n.definition <> r.definition and (r.kind <> 'view' or r.server = current_setting('server_version_num')::integer / 10000))
    -- A table or column that is gone is one line, without its parts.
    and (r.name is null or exists (select from now t where t.object = r.object and t.name is null))
    and (r.kind not like '% of column' or exists (select from now c where c.kind = 'column' and c.object = r.object and c.name = r.name))
    and (r.kind <> 'sequence' or n.object is not null or r.definition not like '%, of %')
  union all
  select 'warning', n.object, format('no release made its %s %s', n.kind, n.name),
    case n.kind when 'constraint' then format('alter table %s drop constraint %I;', n.object, n.name)
      else format('drop %s %I on %s;', n.kind, n.name, n.object) end
  from now n
  where n.kind in ('constraint', 'trigger', 'rule')
    and not exists (select from rowferry.released_objects r where r.kind = n.kind and r.object = n.object and r.name is not distinct from n.name)
    and exists (select from rowferry.released_objects r where r.object = n.object)
  union all
  select 'error', c.oid::regclass::text, format('it belongs to %I, not to rowferry_owner', pg_get_userbyid(c.relowner)),
    format('alter %s %s owner to rowferry_owner;', case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, c.oid::regclass)
  from pg_class c
  where c.relnamespace = 'rowferry'::regnamespace and c.relowner <> 'rowferry_owner'::regrole
    and c.oid::regclass::text in (select r.object from rowferry.released_objects r where r.name is null)
    -- The sequence of a column gets its owner with its table.
    and not exists (select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and c.relkind = 'S')
  union all
  select 'error', 'rowferry.events_id_seq',
    format('it stands at %s, and ids up to %s were given out: new changes would be taken for old ones', s.at, l.horizon_id),
    format('select setval(''rowferry.events_id_seq'', %s);', l.horizon_id + 1000000)
  from (select max(greatest(l.horizon_id, l.first_id - 1)) from rowferry.links l) l (horizon_id)
  cross join lateral (
    -- Before PostgreSQL 17 it is an error to read a sequence without the right to. That it belongs to somebody else is a line of its own.
    select case when has_sequence_privilege(to_regclass('rowferry.events_id_seq'), 'usage, select')
      then coalesce(pg_sequence_last_value(to_regclass('rowferry.events_id_seq')), 0) end
  ) s (at)
  where s.at < l.horizon_id
$$;
comment on function rowferry._check_own() is
  'For check() and drift(): what became of rowferry''s own tables, indexes, constraints, sequences, triggers and views since the release made them.';
