-- The filter as it is kept: as PostgreSQL spells it, all names qualified but those of columns. Capture evaluates it with the rights of rowferry_owner, so it may
-- call nothing of a user's; and a row may leave it by a change of that row only, so it must be immutable. Both, and that it is one condition on one row, is what
-- the predicate of an index must be: it is tried as one, on an empty table of the same columns. The attempt leaves nothing.
create or replace function rowferry._check_filter(
  p_table regclass,
  p_filter text
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_cursor refcursor;
  v_index oid;
  v_filter text;
  v_foreign text;
  v_generated text;
  v_message text;
  v_hint constant text := 'A condition on columns of the row itself, with built-in operators and functions that always say the same of one row: p_filter => ''country = ''''CH''''''.';
begin
  if p_filter is null then
    return null;
  end if;
  begin
    -- A cursor takes one statement only.
    open v_cursor for execute format(E'select (%s\n) from %s where false', p_filter, p_table);
    close v_cursor;
    execute format('create temp table rowferry_filter (like %s)', p_table);
    execute format(E'create index rowferry_filtered on pg_temp.rowferry_filter ((1)) where (%s\n)', p_filter);
    v_index := 'pg_temp.rowferry_filtered'::regclass;
    -- Constants are spelled as every session reads them, whatever the settings of this one; the block's end takes that back.
    perform set_config(s.name, s.value, true)
    from (values ('datestyle', 'ISO, YMD'), ('intervalstyle', 'postgres'), ('timezone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'), ('lc_monetary', 'C'))
      s (name, value);
    v_filter := (select pg_get_expr(i.indpred, i.indrelid) from pg_index i where i.indexrelid = v_index);
    v_foreign := (
      select string_agg(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
      from pg_depend d
      left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid and t.typtype = 'e'
        and has_schema_privilege('rowferry_owner', t.typnamespace, 'usage')
      where d.classid = 'pg_class'::regclass and d.objid = v_index and d.refclassid <> 'pg_class'::regclass and t.oid is null);
    v_generated := (
      select string_agg(g.attname, ', ' order by g.attnum)
      from pg_depend d
      join pg_attribute t on t.attrelid = d.refobjid and t.attnum = d.refobjsubid
      join pg_attribute g on g.attrelid = p_table and g.attname = t.attname and g.attgenerated = 'v'
      where d.classid = 'pg_class'::regclass and d.objid = v_index and d.refclassid = 'pg_class'::regclass);
    raise exception using errcode = 'RF101', message = 'the attempt leaves nothing';
  exception
    when sqlstate 'RF101' then
      null;
    when insufficient_privilege then
      raise;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception or invalid_schema_name then
      v_message := sqlerrm;
  end;
  if v_message is not null then
    raise exception using errcode = 'RF010', message = 'the filter is no condition on a row of the table', detail = format('%s: %s.', p_filter, v_message), hint = v_hint;
  elsif v_foreign is not null then
    raise exception using errcode = 'RF010', message = 'the filter uses what is not part of PostgreSQL, or what rowferry_owner may not use',
      detail = format('%s: %s.', p_filter, v_foreign), hint = v_hint;
  elsif v_generated is not null then
    raise exception using errcode = 'RF010', message = 'a virtual generated column has no value where changes are captured', detail = format('%s.', v_generated),
      hint = 'Write its expression into the filter instead of its name.';
  elsif exists (select from pg_attribute a where a.attrelid = p_table and not a.attisdropped and a.attname in ('v_hops', 'v_keys', 'v_everything', 'v_now')) then
    raise exception using errcode = 'RF010', message = 'a table with a column of this name cannot have a filter',
      detail = format('%s: v_hops, v_keys, v_everything or v_now.', p_table), hint = 'Rename the column, or attach the table without a filter.';
  elsif strpos(v_filter, '$rowferry$') > 0 then
    raise exception using errcode = 'RF010', message = 'no filter may hold $rowferry$, which quotes the generated functions', detail = format('%s.', p_filter), hint = v_hint;
  end if;
  return v_filter;
end
$$;
comment on function rowferry._check_filter(regclass, text) is 'A filter as PostgreSQL spells it; raises the reason why it can be none.';
revoke all on function rowferry._check_filter(regclass, text) from public;
