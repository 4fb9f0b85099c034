-- Why an entity's filter can be evaluated no longer; null: it can, or there is none. It is parsed as capture does, with the rights of rowferry_owner, against columns that
-- are named and typed as those of the table are now.
create or replace function rowferry._filter_problem(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_entity.filter is not null then
    -- Parsed, but never evaluated: null::type may be a domain's check, a cast a function of a user's, which would run with the rights of rowferry_owner.
    execute format('select from (select %s) f where false and (%s)', (
      select string_agg(format('null::%s as %I', format_type(a.atttypid, a.atttypmod), a.attname), ', ')
      from pg_attribute a
      where a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped), p_entity.filter);
  end if;
  return null;
exception
  when syntax_error_or_access_rule_violation or data_exception or invalid_schema_name or undefined_object then
    return sqlerrm;
end
$$;
comment on function rowferry._filter_problem(rowferry.entities) is 'Why an entity''s filter can be evaluated no longer.';
revoke all on function rowferry._filter_problem(rowferry.entities) from public;
