create or replace function rowferry._plain_tables(
  p_entities text[]
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
begin
  return not exists (
    select
    from rowferry.entities e
    join pg_class c on c.oid = e.relation
    where e.name = any (p_entities) and (e.on_apply is not null or e.inbound is not null or e.conflict_rule ^@ 'merge:'
      or c.relkind <> 'r' or c.relhasrules or c.relforcerowsecurity
      or exists (
        select from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = c.oid and case when p.pronamespace <> 'rowferry'::regnamespace then t.tgdeferrable or rowferry._runs_for_peer(t)
          or t.tgisinternal and p.proname not in ('RI_FKey_check_ins', 'RI_FKey_check_upd', 'RI_FKey_noaction_del', 'RI_FKey_noaction_upd',
            'RI_FKey_restrict_del', 'RI_FKey_restrict_upd') end)
      or exists (
        select
        from pg_attribute a
        join pg_type y on y.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and y.typnamespace <> 'pg_catalog'::regnamespace)
      or exists (select from pg_index x where x.indrelid = c.oid and (x.indexprs is not null or x.indpred is not null))
      or exists (
        select
        from (
          select 'pg_attrdef'::regclass, a.oid from pg_attrdef a where a.adrelid = c.oid
          union all
          select 'pg_constraint'::regclass, k.oid from pg_constraint k where k.conrelid = c.oid and k.contype = 'c'
        ) o (class, id)
        -- A user's operator calls a function, and so does a cast to a domain; what is PostgreSQL's own is not noted.
        join pg_depend d on d.classid = o.class and d.objid = o.id and d.refclassid <> 'pg_class'::regclass)));
end
$$;
comment on function rowferry._plain_tables(text[]) is
  'Whether the tables of these entities are like most: nothing of anybody''s runs when rows of the peer are written to them, and nothing is deferred or '
  'written elsewhere. Foreign keys that only check, and defaults and checks without a function, operator or type of the user''s, are no exception. The '
  'answer holds as long as the caller''s transaction holds a lock that it wrote the tables with.';
