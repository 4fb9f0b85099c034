create or replace function rowferry._captured_columns(
  p_entity rowferry.entities
)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when p_entity.outbound is null then p_entity.local_columns
    else array(
      with used as (
        select a.attnum, a.attgenerated
        from pg_rewrite w
        join pg_attribute a on a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped
        where w.ev_class = (select rowferry._travelling_relation(p_entity)) and (w.ev_action::text like '%:varattno 0 %' or exists (
          select from pg_depend d
          where d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
            and d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum))
      )
      select a.attname::text
      from pg_attribute a
      where a.attrelid = p_entity.relation and a.attgenerated = '' and (exists (select from used u where u.attnum = a.attnum) or exists (
        select
        from used u
        join pg_attrdef f on f.adrelid = a.attrelid and f.adnum = u.attnum and u.attgenerated <> ''
        -- Up to PostgreSQL 14 the generated column itself depends on the columns that it is computed from, later its expression does.
        join pg_depend d on (d.classid, d.objid, d.objsubid) in (('pg_attrdef'::regclass, f.oid, 0), ('pg_class'::regclass, f.adrelid, f.adnum))
          and d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum))
      order by a.attname collate "C") end;
end
$$;
comment on function rowferry._captured_columns(rowferry.entities) is
  'Columns of an entity''s table whose change travels: those that travel, or those that the outbound view uses, by what PostgreSQL notes of the view. A '
  'view that uses whole rows uses every column; a generated column counts as those that it is computed from.';
