create or replace function rowferry._users_triggers(
  p_relation regclass
)
returns table (
  id oid,
  root oid,
  relation regclass,
  name text,
  enabled "char",
  guarded boolean,
  definition text,
  comment text,
  constraint_name text,
  constraint_comment text,
  extensions text[]
)
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
  with recursive tables (relation) as materialized (
    select p_relation::oid union select p.relid from pg_partition_tree(p_relation) p
  ), found (id, root) as (
    select t.oid, t.oid
    from tables b
    join pg_trigger t on t.tgrelid = b.relation
    join pg_proc p on p.oid = t.tgfoid
    where not t.tgisinternal and t.tgparentid = 0 and t.tgtype & 28 > 0 and p.pronamespace <> 'rowferry'::regnamespace
    union all
    select t.oid, f.root from found f join tables b on true join pg_trigger t on t.tgrelid = b.relation and t.tgparentid = f.id
  )
  select t.oid, f.root, t.tgrelid, t.tgname, t.tgenabled, d.o_guarded, d.o_without,
    obj_description(t.oid, 'pg_trigger'), c.conname, obj_description(c.oid, 'pg_constraint'),
    array(
      select x.extname::text
      from pg_depend n
      join pg_extension x on x.oid = n.refobjid
      where n.classid = 'pg_trigger'::regclass and n.objid = t.oid and n.refclassid = 'pg_extension'::regclass and n.deptype = 'x'
      order by x.extname)
  from found f
  join pg_trigger t on t.oid = f.id
  left join pg_constraint c on c.oid = t.tgconstraint
  cross join lateral rowferry._guard_forms(pg_get_triggerdef(f.id)) d  -- of those alone: not of t, or all triggers of the database might be printed
  order by t.tgrelid, t.tgname
$$;
comment on function rowferry._users_triggers(regclass) is
  'The users'' triggers on a table and its partitions that a row of the peer could fire (those for TRUNCATE alone could not), with all that would be lost '
  'if they were made again. root: the trigger of which this one is a copy in a partition, or itself. definition: without the guard.';
