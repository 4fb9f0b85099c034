create or replace function rowferry._missing_parents_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_owner constant oid := (select t.relowner from pg_class t where t.oid = p_entity.relation);
  v_check text;
  v_missing text;
  v_body text;
begin
  -- By now the name of a parent's table may be that of a view of somebody else's.
  select string_agg(distinct rowferry._means_sql('table', f.confrelid::regclass::text, f.confrelid::text), ''),
    string_agg(format('when %s and not exists (select from %s p where %s) then %L', k.given, f.confrelid::regclass, k.found, f.conname),
      E'\n      ' order by f.conname)
      filter (where p_entity.inbound is null and f.convalidated and f.confmatchtype = 's' and k.travels and has_table_privilege(v_owner, f.confrelid, 'select'))
  into v_check, v_missing
  from pg_constraint f
  join pg_class p on p.oid = f.confrelid
  cross join lateral (
    select string_agg(format('u.c%s is not null', c.place), ' and ' order by n.ord) as given,
      string_agg(format('p.%I operator(%I.%s) u.c%s::%s', r.attname, s.nspname, o.oprname, c.place, format_type(l.atttypid, l.atttypmod)),
        ' and ' order by n.ord) as found,
      bool_and(c.place is not null) as travels
    from unnest(f.conkey, f.confkey, f.conpfeqop) with ordinality n (child, parent, operator, ord)
    join pg_attribute l on l.attrelid = f.conrelid and l.attnum = n.child
    join pg_attribute r on r.attrelid = f.confrelid and r.attnum = n.parent
    join pg_operator o on o.oid = n.operator
    join pg_namespace s on s.oid = o.oprnamespace
    left join rowferry._column_parts(p_entity) c on c.local = l.attname
  ) k
  where f.conrelid = p_entity.relation and f.contype = 'f' and f.confrelid <> f.conrelid and has_schema_privilege(v_owner, p.relnamespace, 'usage');
  if v_missing is not null then
    v_body := format($f$  select array_agg(l.record_id), array_agg(l.lacking)
  into o_keys, o_constraints
  from (
    select u.record_id, case
      %s
    end
    from %s
  ) l (record_id, lacking)
  where l.lacking is not null;
$f$, v_missing, rowferry._received_sql(p_entity, p_keys => '$2'));
  end if;
  return rowferry._function_sql(p_entity, 'lacking_', '(p_columns text[], p_keys text[], out o_keys text[], out o_constraints text[])', v_body,
    p_check => v_check, p_stable => false);
end
$function$;
comment on function rowferry._missing_parents_sql(rowferry.entities) is
  'DDL of the function that says which of some rows have no parent on this node, and by which foreign key. It finds them all at once, while trying would '
  'find one after the other. It does not look at foreign keys to the table itself, because the parent may be among the rows, nor at those to tables that the '
  'owner may not read, nor at any if an inbound function decides what is written.';
