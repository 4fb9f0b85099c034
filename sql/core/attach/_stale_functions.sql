create or replace function rowferry._stale_functions(
  p_entity rowferry.entities,
  out o_function text,
  out o_missing boolean,
  out o_ddl text
)
returns setof record
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select d.function, p.oid is null, d.ddl
  from (
    select f.ddl, split_part(f.ddl, '$rowferry$', 1) as head, (parse_ident(substring(f.ddl from E'^create or replace function rowferry\\.("(?:[^"]|"")+"|[^"(]+)\\(')))[1] as function
    from rowferry._functions_sql(p_entity) f (ddl)
  ) d
  -- What has the name of a function of an entity that is not attached yet is none of its functions.
  left join pg_proc p on p.pronamespace = 'rowferry'::regnamespace and p.proname = d.function and exists (select from rowferry.entities e where e.id = p_entity.id)
  where (select count(*) from rowferry._entity_columns(p_entity)) = cardinality(p_entity.columns)
    and (p_entity.inbound is null or exists (select from rowferry._inbound_columns(p_entity)))
    and (p_entity.on_apply is null or rowferry._find_user_owner(p_entity, p_entity.on_apply) is not null)
    and (d.function <> rowferry._generated_name('merge_', p_entity.name) or rowferry._find_user_owner(p_entity, substring(p_entity.conflict_rule from '^merge:(.+)$'), true) is not null)
    and (p.oid is null or p.prosrc <> split_part(d.ddl, '$rowferry$', 2) or not p.prosecdef or (p.provolatile = 's') <> (d.head ~ E'\\nstable\\n')
      or rowferry._plain_settings(p.proconfig) <> rowferry._plain_settings(
        array(select s[1] || '=' || replace(s[2], '''', '') from regexp_matches(d.head, E'\\nset (\\w+) = ([^\\n]+)', 'g') s))
        -- A schema's name that holds a newline or a quotation mark is in search_path, and not worth the trouble.
        and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation and n.nspname ~ E'[\\n'']')
      or coalesce(cardinality(p.proconfig), 0) <> (select count(*) from regexp_matches(d.head, E'\\nset ', 'g')))
$$;
comment on function rowferry._stale_functions(rowferry.entities) is
  'Generated functions of an entity that would be made otherwise today, as DDL: they are missing, somebody replaced one, or a column''s type or a foreign key was altered. None while a column, the outbound view or a function of the '
  'user''s is missing: functions made without it would leave it out in silence.';
