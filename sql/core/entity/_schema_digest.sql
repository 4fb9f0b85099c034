create or replace function rowferry._schema_digest(
  p_peer text
)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with shapes as materialized (
    select e.relation::oid as relation, rowferry._travelling_relation(e)::oid as shape from rowferry.entities e where e.peer = p_peer
  )
  select bit_xor(hashtextextended(concat_ws(' ', o.kind, o.id, o.part, o.version), 0))
  from (
    select 'class', c.oid, 0, concat_ws(' ', c.relnamespace, c.relowner, c.relispartition, c.relhassubclass, c.relname)
    from shapes s join pg_class c on c.oid = s.relation
    union all
    select 'column', a.attrelid, a.attnum, a.xmin::text from shapes s join pg_attribute a on a.attrelid in (s.relation, s.shape) and a.attnum > 0
    union all
    select 'index', i.indexrelid, 0, i.xmin::text from shapes s join pg_index i on i.indrelid = s.relation
    union all
    select 'constraint', f.oid, 0, f.xmin::text from shapes s join pg_constraint f on f.conrelid = s.relation
    union all
    select 'trigger', t.oid, 0, t.xmin::text from shapes s join pg_trigger t on t.tgrelid = s.relation and not t.tgisinternal
    union all
    select 'sequence', q.seqrelid, 0, q.xmin::text
    from shapes s
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.relation and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    join pg_sequence q on q.seqrelid = d.objid
    union all
    select 'label', n.oid, 0, n.xmin::text from pg_enum n
  ) o (kind, id, part, version)
$$;
comment on function rowferry._schema_digest(text) is
  'Digest of the schema of all tables that are kept in sync with a peer. If it changes, facts about them may have changed. It is made of row versions of the '
  'catalog and needs to read a few indexes for each table. What alter sequence does is in it, and what nextval() does is not.';
