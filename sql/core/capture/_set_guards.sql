create or replace function rowferry._set_guards(
  p_entity rowferry.entities,
  p_dry_run boolean default false
)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set transform_null_equals = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
declare
  v_statements text[] := array(select rowferry._guards_sql(p_entity));
  v_statement text;
  v_before text[];
  v_altered text;
begin
  if p_dry_run or v_statements = '{}' then
    return query select s || ';' from unnest(v_statements) s;
    return;
  end if;
  -- The strongest lock that any of the statements needs is taken at once: two sessions that hold a weaker one and wait for a stronger one would wait for each
  -- other.
  perform rowferry._lock_table(p_entity.relation, exists (select from unnest(v_statements) s where s ^@ 'drop trigger ' or s ^@ 'alter trigger '));
  v_before := array(select to_jsonb(u) - '{id,root,guarded}'::text[] from rowferry._users_triggers(p_entity.relation) u);
  foreach v_statement in array array(select rowferry._guards_sql(p_entity)) loop
    execute v_statement;
  end loop;
  select string_agg(o, E'\n') into v_altered
  from (
    (select unnest(v_before) except select (to_jsonb(u) - '{id,root,guarded}'::text[])::text from rowferry._users_triggers(p_entity.relation) u)
    union all
    select g from rowferry._guards_sql(p_entity) g
  ) o (o);
  if v_altered is not null then
    raise exception using errcode = 'RF014', message = 'more than the guard of a trigger would change', detail = v_altered,
      hint = 'Nothing was changed. p_triggers => ''fire'' leaves the triggers as they are. This is a defect of rowferry: please report it with the trigger.';
  end if;
end
$$;
comment on function rowferry._set_guards(rowferry.entities, boolean) is
  'Gives the users'' triggers on an entity''s table their guards, or takes them away, and makes sure that nothing else about them has changed. With '
  'p_dry_run it returns the DDL and does not run it.';
