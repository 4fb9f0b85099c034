create or replace function rowferry._users_check_sql(
  p_entity rowferry.entities,
  p_function text default null,
  p_merges boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select concat(
    case when p_entity.outbound is not null then rowferry._means_sql('view', c.oid::regclass::text, pg_get_userbyid(c.relowner)) end,
    (
      select rowferry._means_sql('function', format(case when p_merges then '%I.%I(%s, %3$s)' else '%I.%I(%s[])' end, n.names[1], n.names[2], c.oid::regclass),
        rowferry._find_user_owner(p_entity, p_function, p_merges))
      from (select rowferry._split_name(p_function)) n (names)
      where p_function is not null))
  from pg_class c
  where c.oid = (select rowferry._travelling_relation(p_entity))
$function$;
comment on function rowferry._users_check_sql(rowferry.entities, text, boolean) is
  'Statements like those of _definer_check_sql(), for what a generated function uses of the user''s: the outbound view, and the function p_function that '
  'takes its rows, or with p_merges two of them.';
