create or replace function rowferry._stale_functions(
  p_entity rowferry.entities,
  p_only text default null,
  out o_function text,
  out o_missing boolean,
  out o_ddl text
)
returns setof record
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with whole as (
    select
    where (select count(*) from rowferry._entity_columns(p_entity)) = cardinality(p_entity.columns)
      and (p_entity.inbound is null or exists (select from rowferry._inbound_columns(p_entity)))
      and (p_entity.on_apply is null or rowferry._find_user_owner(p_entity, p_entity.on_apply) is not null)
  ), wanted as (
    -- Without the columns of an entity its other functions cannot even be written down.
    select from whole where p_only is distinct from rowferry._generated_name('capture_', p_entity.name)
  )
  select d.function, p.oid is null, d.ddl
  from (
    select f.ddl, split_part(f.ddl, '$rowferry$', 1) as head,
      (parse_ident(substring(f.ddl from E'^create or replace function rowferry\\.("(?:[^"]|"")+"|[^"(]+)\\(')))[1] as function
    from (
      -- The capture function of several entities has to fit those that are whole.
      select rowferry._capture_sql(p_entity)
      where p_entity.id = (select t.id from rowferry._captured_together(p_entity) t limit 1)
        and (p_only = rowferry._generated_name('capture_', p_entity.name) or exists (select from whole)
          or (select count(*) from rowferry._captured_together(p_entity)) > 1)
      union all select rowferry._read_sql(p_entity) from wanted
      union all select rowferry._list_keys_sql(p_entity) from wanted
      union all select rowferry._upsert_sql(p_entity) from wanted
      union all select rowferry._delete_sql(p_entity) from wanted
      union all
      select rowferry._function_sql(p_entity, 'finish_', '() returns void', E'  set constraints all immediate;\n',
        p_reads => false, p_stable => false, p_settings => '{}')
      from wanted
      union all select rowferry._differing_sql(p_entity) from wanted
      union all select rowferry._missing_parents_sql(p_entity) from wanted
      union all select rowferry._wanting_sql(p_entity) from wanted
      union all select rowferry._sequences_sql(p_entity) from wanted
      union all select rowferry._merge_sql(p_entity) from wanted
      union all
      select rowferry._cycle_function_sql(c.cycle)
      from wanted
      cross join (select array(select y from rowferry._cycle(p_entity) y) where p_entity.cycle = p_entity.id) c (cycle)
      where (c.cycle[cardinality(c.cycle)]).id = p_entity.id and rowferry._written_together(c.cycle)
      offset 0  -- each is made once
    ) f (ddl)
  ) d
  -- An entity that is not attached yet has no functions, whatever has their names.
  left join pg_proc p on p.pronamespace = 'rowferry'::regnamespace and p.proname = d.function
    and exists (select from rowferry.entities e where e.id = p_entity.id)
  where d.function = coalesce(p_only, d.function)
    and (d.function <> rowferry._generated_name('merge_', p_entity.name)
      or rowferry._find_user_owner(p_entity, substring(p_entity.conflict_rule from '^merge:(.+)$'), true) is not null)
    and (p.oid is null or p.prosrc <> split_part(d.ddl, '$rowferry$', 2) or not p.prosecdef or (p.provolatile = 's') <> (d.head ~ E'\\nstable\\n')
      or rowferry._plain_settings(p.proconfig) <> rowferry._plain_settings(
        array(select s[1] || '=' || replace(s[2], '''', '') from regexp_matches(d.head, E'\\nset (\\w+) = ([^\\n]+)', 'g') s))
        -- The name of the table's schema is in search_path; one with a newline or a quotation mark is not worth the trouble.
        and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation and n.nspname ~ E'[\\n'']')
      or coalesce(cardinality(p.proconfig), 0) <> (select count(*) from regexp_matches(d.head, E'\\nset ', 'g')))
$$;
comment on function rowferry._stale_functions(rowferry.entities, text) is
  'Generated functions of an entity that would have another text today, as DDL: they are missing, somebody replaced one, or a column''s type or a foreign '
  'key was altered; p_only names one of them. While a column, the outbound view or a function of the user''s is missing, it returns none, because functions '
  'made without it would silently leave it out; but it returns the capture function if that serves other entities too, or is asked for.';
