create or replace function rowferry._filter_types(
  p_table regclass,
  p_filter text,
  out o_declared text,
  out o_columns text[],
  out o_types text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_used constant smallint[] := array(
    select distinct d.refobjsubid
    from pg_depend d join pg_rewrite w on w.oid = d.objid and w.ev_class = to_regclass('pg_temp.rowferry_naming')
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass('pg_temp.rowferry_named')
      and d.refobjsubid > 0);
  v_foreign text;
  v_virtual text;
  v_ordered boolean;
begin
  -- Column numbers of the two tables differ if a column was dropped.
  with recursive base (attname, number, oid, attcollation, generated) as (
    select n.attname, n.attnum, a.atttypid, a.attcollation, a.attgenerated
    from pg_attribute n join pg_attribute a on a.attrelid = p_table and a.attname = n.attname
    where n.attrelid = to_regclass('pg_temp.rowferry_named') and n.attnum > 0
    union all
    select b.attname, b.number, t.typbasetype, b.attcollation, b.generated from base b join pg_type t on t.oid = b.oid and t.typtype = 'd'
  ), pinned as (
    select b.*, t.typtype, t.typname, b.number = any (v_used) as used,
      t.typtype = 'e' or t.typtype in ('b', 'r', 'm') and t.typnamespace = 'pg_catalog'::regnamespace as fits,
      (select format(' collate %I.%I', n.nspname, l.collname) from pg_collation l join pg_namespace n on n.oid = l.collnamespace
        where l.oid = b.attcollation and l.oid <> t.typcollation and t.typtype <> 'e') as clause
    from base b join pg_type t on t.oid = b.oid
    where t.typtype <> 'd'
  )
  select string_agg(format('%I %s%s', p.attname, case when p.typtype = 'e' then 'pg_catalog.text' else format('pg_catalog.%I', p.typname) end, p.clause),
    ', ' order by p.number)
      filter (where p.fits),
    string_agg(format('%I of type %s', p.attname, format_type(p.oid, -1)), ', ' order by p.number) filter (where p.used and not p.fits),
    string_agg(p.attname, ', ' order by p.number) filter (where p.used and p.generated = 'v'),
    coalesce(array_agg(p.attname::text order by p.number) filter (where p.used), '{}'),
    coalesce(array_agg(case when p.typtype = 'e' then 'enum{}' else format_type(p.oid, -1) end order by p.number) filter (where p.used), '{}'),
    -- Operators of an enum's order, by themselves, in a comparison of rows, or in greatest() and least().
    coalesce(bool_or(p.used and p.typtype = 'e' and exists (
      select from pg_rewrite w
      where w.ev_class = to_regclass('pg_temp.rowferry_naming')
        and w.ev_action::text ~ format(E':(?:opno|opnos \\(o[ 0-9]*) (?:%s)[^0-9]|:minmaxtype %s ', (
          select string_agg(o.oid::text, '|') from pg_operator o
          where o.oprcode = any ('{pg_catalog.enum_lt,pg_catalog.enum_le,pg_catalog.enum_gt,pg_catalog.enum_ge}'::regproc[])), p.oid))), false)
  into o_declared, v_foreign, v_virtual, o_columns, o_types, v_ordered
  from pinned p;
  if v_foreign is not null then
    raise exception using errcode = 'RF010', message = 'the filter names a column of a type that is not part of PostgreSQL',
      detail = format('%s: %s.', p_filter, v_foreign),
      hint = 'Capture calls no code of a user''s. A filter may name columns of built-in types, of domains over these, and of enums; '
        'a generated column may hold what the filter needs of this one.';
  elsif v_virtual is not null then
    raise exception using errcode = 'RF010', message = 'a virtual generated column has no value where changes are captured', detail = format('%s.', v_virtual),
      hint = 'Write its expression into the filter instead of its name.';
  elsif v_ordered then
    raise exception using errcode = 'RF010', message = 'the filter compares values of an enum by their order', detail = format('%s.', p_filter),
      hint = 'A filter sees an enum as text. Name the values: p_filter => ''mood in (''''good'''', ''''fair'''')''.';
  end if;
end
$$;
comment on function rowferry._filter_types(regclass, text) is
  'The columns that a filter uses and the type in which it sees each, from the view in which _check_filter() has parsed it: a type of PostgreSQL''s own (for '
  'a domain the base type) or, for an enum, its text. If a filter cannot use one of them at all, an error says why. o_declared has all columns of the table '
  'that a filter may use, as a list for create table.';
