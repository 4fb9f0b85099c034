create or replace function rowferry._check_filter(
  p_table regclass,
  p_filter text,
  p_kept boolean default false,
  out o_filter text,
  out o_columns text[],
  out o_types text[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set transform_null_equals = off
set array_nulls = on
as $$
declare
  v_cursor refcursor;
  v_entity rowferry.entities;
  v_statement text;
  v_declared text;
  v_named boolean := false;
  v_foreign text;
  v_hint constant text := 'A filter is a condition on columns of the row itself, with built-in operators and functions that always say the same of one row: '
    'p_filter => ''country = ''''CH''''''.';
begin
  if p_filter is null then
    return;
  end if;
  begin
    execute format('create temp table rowferry_named (like %s)', p_table);
    execute format('create temp table rowferry_proving (like %s)', p_table);
    -- Nothing is evaluated or planned until the filter is proved: a view is only parsed, and tells what the filter depends on. Parsing reads literals, which
    -- may call the check of a domain that is an element of their type; so columns of a user's type are texts here.
    for v_statement in
      with recursive base (attname, oid) as (
        select a.attname, a.atttypid from pg_attribute a where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped
        union all
        select b.attname, t.typbasetype from base b join pg_type t on t.oid = b.oid and t.typtype = 'd'
      )
      select format('alter table pg_temp.rowferry_named alter column %I type pg_catalog.%s using null', b.attname,
        case when t.typcategory = 'A' then 'text[]' else 'text' end)
      from base b join pg_type t on t.oid = b.oid
      where case when t.typtype = 'e' then p_kept else t.typtype <> 'd' and t.typnamespace <> 'pg_catalog'::regnamespace end
    loop
      execute v_statement;
    end loop;
    -- A cursor takes one statement only, and plans it no earlier than it is asked for a row.
    open v_cursor for execute format(E'explain select (%s\n) from pg_temp.rowferry_named', p_filter);
    close v_cursor;
    execute format(E'create temp view rowferry_naming as select (%s\n) as is_within from pg_temp.rowferry_named', p_filter);
    v_named := true;
    select f.* into v_declared, o_columns, o_types from rowferry._filter_types(p_table, p_filter) f;
    execute format('create temp table rowferry_filter (%s)', v_declared);
    execute format(E'create temp view rowferry_filtering as select (%s\n) as is_within from pg_temp.rowferry_filter', p_filter);
    v_foreign := (
      select string_agg(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
      from pg_depend d join pg_rewrite w on w.oid = d.objid and w.ev_class = 'pg_temp.rowferry_filtering'::regclass
      where d.classid = 'pg_rewrite'::regclass
        and (d.refclassid <> 'pg_class'::regclass or d.refobjid not in (w.ev_class, 'pg_temp.rowferry_filter'::regclass)));
    if v_foreign is not null then
      raise exception using errcode = 'RF010', message = 'the filter uses what is not part of PostgreSQL', detail = format('%s: %s.', p_filter, v_foreign),
        hint = v_hint || case when array_to_string(o_types, ',') like '%enum{%' then ' It sees an enum as text: leave casts to the enum out.' else '' end;
    end if;
    -- The predicate of an index must be one condition on one row, and immutable; so must a filter, which a row may leave only when that row changes.
    execute format(E'create index rowferry_filtered on pg_temp.rowferry_filter ((1)) where (%s\n)', p_filter);
    -- Constants are spelled as every session reads them, whatever the settings of this one. The end of the block takes these settings back.
    perform set_config(s.name, s.value, true)
    from (values ('datestyle', 'ISO, YMD'), ('intervalstyle', 'postgres'), ('timezone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'),
      ('lc_monetary', 'C'))
      s (name, value);
    o_filter := (select pg_get_expr(i.indpred, i.indrelid) from pg_index i where i.indexrelid = 'pg_temp.rowferry_filtered'::regclass);
    -- Which values of an enum the filter names.
    o_types := array(
      select case when c.type <> 'enum{}' then c.type else 'enum' || array(
          select e.enumlabel::text
          from pg_attribute a join pg_type t on t.oid = a.atttypid join pg_enum e on e.enumtypid in (t.oid, t.typbasetype)
          where a.attrelid = p_table and a.attname = c.name
            and exists (select from regexp_matches(o_filter, E'("(?:[^"]|"")*"|''(?:[^'']|'''')*'')', 'g') m
              where m[1] like '''%' and strpos(m[1], replace(e.enumlabel, '''', '''''')) > 0)
          order by e.enumsortorder)::text end
      from unnest(o_columns, o_types) with ordinality c (name, type, ord) order by c.ord);
    -- A backslash is to mean the same with any standard_conforming_strings.
    o_filter := (
      select string_agg(case when m[1] like '''%' and strpos(m[1], E'\\') > 0 then 'E' || replace(m[1], E'\\', E'\\\\') else m[1] end, '' order by ord)
      from regexp_matches(o_filter, E'("(?:[^"]|"")*"|''(?:[^'']|'''')*''|[^"'']+)', 'g') with ordinality m (m, ord));
    v_entity.filter := o_filter;
    v_entity.filter_columns := o_columns;
    v_entity.filter_types := o_types;
    execute format('create temp view rowferry_proved as select from %s p', rowferry._filtered_sql(v_entity, 'pg_temp.rowferry_proving', true));
    raise exception using errcode = 'RF101', message = 'the attempt leaves nothing';
  exception
    when sqlstate 'RF101' then
      null;
    when insufficient_privilege then
      raise;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception or invalid_schema_name then
      raise exception using errcode = 'RF010', message = 'the filter is no condition on a row of the table', detail = format('%s: %s.', p_filter, sqlerrm),
        hint = case when v_named and array_to_string(o_types, ',') like '%enum{%'
          then 'A filter sees an enum as text. Leave casts to the enum out: p_filter => ''mood = ''''good''''''.' else v_hint end;
  end;
  if exists (select from pg_attribute a where a.attrelid = p_table and not a.attisdropped
    and a.attname in ('v_hops', 'v_keys', 'v_everything', 'v_passes', 'v_now')) then
    raise exception using errcode = 'RF010', message = 'a table with a column of this name cannot have a filter',
      detail = format('%s: v_hops, v_keys, v_everything, v_passes or v_now.', p_table), hint = 'Rename the column, or attach the table without a filter.';
  elsif strpos(o_filter, '$rowferry$') > 0 then
    raise exception using errcode = 'RF010', message = 'no filter may hold $rowferry$, which quotes the generated functions', detail = format('%s.', p_filter),
      hint = v_hint;
  end if;
end
$$;
comment on function rowferry._check_filter(regclass, text, boolean) is
  'Returns a filter as it is kept: as PostgreSQL spells it, with all names qualified but those of columns, with its columns and the type in which it sees '
  'each. If it cannot be a filter, an error says why: it is evaluated in capture, with the rights of rowferry_owner, so it may call nothing that users made. '
  'p_kept says that it is a filter that was kept, to be proved again with the types that the columns have now. Nothing that the attempt made is left.';
