create or replace function rowferry._may_differ(
  p_entities text[]
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_written oid[];  -- the tables that writing these may change: partitions, and tables that a foreign key's action reaches
begin
  if rowferry._plain_tables(p_entities) then
    return false;
  elsif exists (select from rowferry.entities e where e.name = any (p_entities) and (e.on_apply is not null or e.inbound is not null)) then
    return true;
  end if;
  -- Apart from the rest: the planner expects so many rows of both together that PostgreSQL 19 (RC 1) asks for 32 GiB at once.
  v_written := array(
    with recursive written (relation) as (
      select e.relation::oid from rowferry.entities e where e.name = any (p_entities)
      union
      select r.relation
      from written w
      cross join lateral (
        select t.relid::oid from pg_partition_tree(w.relation) t
        union all
        select f.conrelid
        from pg_constraint f
        where f.confrelid = w.relation and f.contype = 'f' and (f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd'))
      ) r (relation)
    )
    select w.relation from written w);
  return (
    with recursive written (relation) as (
      select unnest(v_written)
    ), domains (relation, oid) as (
      -- A domain's check belongs to the owner of the domain, and the domain may be anywhere in a composite type, a range or an array.
      select w.relation, a.atttypid from written w join pg_attribute a on a.attrelid = w.relation and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid and t.typnamespace <> 'pg_catalog'::regnamespace
      union
      select m.relation, i.oid
      from domains m
      join pg_type t on t.oid = m.oid
      cross join lateral (
        select t.typbasetype union all select t.typelem
        union all select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all select g.rngsubtype from pg_range g where t.oid in (g.rngtypid, g.rngmultitypid)) i (oid)
      where i.oid <> 0
    )
    select exists (
        -- A copy in a partition that is enabled as its original is says nothing new.
        select
        from written w
        join pg_trigger t on t.tgrelid = w.relation
        join pg_proc p on p.oid = t.tgfoid
        where case
          when p.pronamespace <> 'rowferry'::regnamespace
            and (t.tgparentid = 0 or t.tgenabled <> (select o.tgenabled from pg_trigger o where o.oid = t.tgparentid))
          then rowferry._runs_for_peer(t) end
      ) or exists (
        select from written w join pg_class c on c.oid = w.relation where c.relhasrules
      ) or exists (
        select
        from rowferry.entities e
        join pg_constraint f on f.conrelid = e.relation and f.contype = 'f'
        where e.name = any (p_entities) and (f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd'))
      ) or exists (
        select
        from written w
        cross join lateral (
          -- The default of a column that travels is never used.
          select 'pg_attrdef'::regclass, a.oid
          from pg_attrdef a
          join pg_attribute t on t.attrelid = a.adrelid and t.attnum = a.adnum
          where a.adrelid = w.relation and not (t.attgenerated = '' and exists (
            select from rowferry.entities e
            where e.name = any (p_entities) and e.relation = coalesce(pg_partition_root(w.relation), w.relation) and t.attname = any (e.local_columns)))
          union all
          select 'pg_constraint'::regclass, c.oid from pg_constraint c where c.conrelid = w.relation and c.contype = 'c'
          union all
          select 'pg_constraint'::regclass, c.oid from domains m join pg_constraint c on c.contypid = m.oid where m.relation = w.relation
          union all
          select 'pg_class'::regclass, i.indexrelid from pg_index i where i.indrelid = w.relation and (i.indexprs is not null or i.indpred is not null)
        ) o (class, id)
        join pg_depend d on d.classid = o.class and d.objid = o.id and d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass)
      )
  );
end
$$;
comment on function rowferry._may_differ(text[]) is
  'Whether anything but the sender could decide how rows of these entities are stored, or could write other rows: a rule, a trigger of the user''s that '
  'runs for rows of the peer, a cascade, or a default, check or index that calls a function or operator of the user''s. It may be on any table of the batch '
  'or on one that a cascade reaches, because no row of the batch is captured while it is applied.';
