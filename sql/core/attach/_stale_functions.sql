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
    select f.ddl, split_part(f.ddl, '$rowferry$', 1) as head,
      (parse_ident(substring(f.ddl from E'^create or replace function rowferry\\.("(?:[^"]|"")+"|[^"(]+)\\(')))[1] as function
    from (
      select rowferry._capture_sql(p_entity) where p_entity.id = (select t.id from rowferry._captured_together(p_entity) t limit 1)
      union all select rowferry._read_sql(p_entity)
      union all select rowferry._list_keys_sql(p_entity)
      union all select rowferry._upsert_sql(p_entity)
      union all select rowferry._delete_sql(p_entity)
      union all
      select rowferry._function_sql(p_entity, 'finish_', '() returns void', E'  set constraints all immediate;\n',
        p_reads => false, p_stable => false, p_settings => '{}')
      union all select rowferry._differing_sql(p_entity)
      union all select rowferry._missing_parents_sql(p_entity)
      union all select rowferry._wanting_sql(p_entity)
      union all select rowferry._sequences_sql(p_entity)
      union all select rowferry._merge_sql(p_entity)
      union all
      select rowferry._cycle_function_sql(c.cycle)
      from (select array(select y from rowferry._cycle(p_entity) y) where p_entity.cycle = p_entity.id) c (cycle)
      where (c.cycle[cardinality(c.cycle)]).id = p_entity.id and rowferry._written_together(c.cycle)
      offset 0  -- each is made once
    ) f (ddl)
  ) d
  -- An entity that is not attached yet has no functions, whatever has their names.
  left join pg_proc p on p.pronamespace = 'rowferry'::regnamespace and p.proname = d.function
    and exists (select from rowferry.entities e where e.id = p_entity.id)
  -- The capture function of several entities has to fit those that are whole.
  where (d.function = rowferry._generated_name('capture_', p_entity.name) and (select count(*) from rowferry._captured_together(p_entity)) > 1
      or (select count(*) from rowferry._entity_columns(p_entity)) = cardinality(p_entity.columns)
      and (p_entity.inbound is null or exists (select from rowferry._inbound_columns(p_entity)))
      and (p_entity.on_apply is null or rowferry._find_user_owner(p_entity, p_entity.on_apply) is not null))
    and (d.function <> rowferry._generated_name('merge_', p_entity.name)
      or rowferry._find_user_owner(p_entity, substring(p_entity.conflict_rule from '^merge:(.+)$'), true) is not null)
    and (p.oid is null or p.prosrc <> split_part(d.ddl, '$rowferry$', 2) or not p.prosecdef or (p.provolatile = 's') <> (d.head ~ E'\\nstable\\n')
      or rowferry._plain_settings(p.proconfig) <> rowferry._plain_settings(
        array(select s[1] || '=' || replace(s[2], '''', '') from regexp_matches(d.head, E'\\nset (\\w+) = ([^\\n]+)', 'g') s))
        -- The name of the table's schema is in search_path; one with a newline or a quotation mark is not worth the trouble.
        and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation and n.nspname ~ E'[\\n'']')
      or coalesce(cardinality(p.proconfig), 0) <> (select count(*) from regexp_matches(d.head, E'\\nset ', 'g')))
$$;
comment on function rowferry._stale_functions(rowferry.entities) is
  'Generated functions of an entity that would have another text today, as DDL: they are missing, somebody replaced one, or a column''s type or a foreign '
  'key was altered. It returns none while a column, the outbound view or a function of the user''s is missing, because functions made without it would '
  'silently leave it out.';
