create or replace function rowferry._fed_by(
  p_sequence regclass
)
returns setof rowferry.entities
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select e.* from rowferry.entities e
  where e.relation::oid in (
    select d.refobjid from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = p_sequence and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    union
    select f.adrelid from pg_attrdef f join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid
    where d.refclassid = 'pg_class'::regclass and d.refobjid = p_sequence)
$$;
comment on function rowferry._fed_by(regclass) is
  'Entities whose tables have a column that a sequence feeds: the sequence belongs to the column, or the default of a column uses it.';
