create or replace function rowferry._definer_check_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
    with recursive followed (parent, columns, depth) as (
      select p, p_entity.within_parent_columns, 1 from rowferry.entities p where p.name = p_entity.within
      union all
      select p, (f.parent).within_parent_columns, f.depth + 1 from followed f join rowferry.entities p on p.name = (f.parent).within
    )
    select concat(
      -- An owner who made the function security invoker would have triggers of the table run with the rights of the caller.
      case when c.relowner <> 'rowferry_owner'::regrole then $f$  if current_user operator(pg_catalog.=) 'rowferry_owner' then
    raise exception using errcode = '42501', message = 'this function must be security definer';
  end if;
$f$ end,
      rowferry._means_sql('table', p_entity.relation::text, c.oid::text),
      -- A parent may belong to another role. If a column of it got a type of that role's, the casts of that type would run with the rights of the owner of this
      -- table.
      (
        select string_agg(rowferry._means_sql('table', (f.parent).relation::text, (f.parent).relation::oid::text)
          || format($f$  if array(select a.atttypid from pg_catalog.pg_attribute a
    where a.attrelid operator(pg_catalog.=) %L::pg_catalog.oid and a.attname operator(pg_catalog.=) any (%L::pg_catalog.name[])
    order by a.attnum) operator(pg_catalog.<>) %L::pg_catalog.oid[] then
    raise exception using errcode = 'RF039', message = 'the table whose rows these follow was altered', detail = %L,
      hint = 'It says what to type: select * from rowferry.check();';
  end if;
$f$, (f.parent).relation::oid, u.names,
            array(select a.atttypid from pg_attribute a where a.attrelid = (f.parent).relation and a.attname = any (u.names) order by a.attnum),
            (f.parent).relation || '.'),
          '' order by f.depth)
        from followed f
        cross join lateral (
          select array_agg(distinct n order by n) || '{}'::text[]
          from unnest(f.columns || (f.parent).filter_columns
            || array(select k.local from rowferry._entity_columns(f.parent) k where k.key_position is not null)) n) u (names)),
      (
        select string_agg(rowferry._means_sql('type', t.name, t.oid::text), '' order by t.name)
        from (
          select e.type, e.type_oid from rowferry._entity_columns(p_entity) e
          union
          select e.type, e.type_oid from rowferry._entity_columns(rowferry._written(p_entity)) e
        ) t (name, oid)
        join pg_type y on y.oid = t.oid and y.typnamespace <> 'pg_catalog'::regnamespace))
    from pg_class c
    where c.oid = p_entity.relation);
end
$function$;
comment on function rowferry._definer_check_sql(rowferry.entities) is
  'The first statements of each generated function that has the rights of the table''s owner. They raise an error unless the names of the table, of the '
  'parents that its rows follow and of its types still mean what they meant when the table was attached.';
