-- The function that says which of some rows have no parent on this node, as DDL: one look finds them all, where trying would find one after the other. Foreign
-- keys to the table itself are left to trying, since the parent may be among the rows; so are those to tables that its owner may not read, and all of them where an inbound function decides what is written.
create or replace function rowferry._missing_parents_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_owner_check text := rowferry._read_only_sql(p_entity);
  v_from text;
  v_missing text;
begin
  -- A parent's table of this name may be a view of somebody else's by now.
  v_owner_check := v_owner_check || coalesce((
    select string_agg(distinct rowferry._means_sql('table', f.confrelid::regclass::text, f.confrelid::text), '')
    from pg_constraint f
    where f.conrelid = p_entity.relation and f.contype = 'f' and f.confrelid <> f.conrelid
      and has_schema_privilege((select t.relowner from pg_class t where t.oid = p_entity.relation), (select t.relnamespace from pg_class t where t.oid = f.confrelid), 'usage')), '');
  select string_agg(format('pg_catalog.unnest(($1[%s])::%s[])', c.place, case when c.typed then c.type else 'text' end), ', ' order by c.place)
      || ', pg_catalog.unnest($2)) u (' || string_agg('c' || c.place, ', ' order by c.place) || ', record_id)'
  into v_from
  from rowferry._entity_columns(p_entity) c;
  select string_agg(k.condition, E'\n      ' order by k.conname) into v_missing
  from (
    select f.conname, format('when %s and not exists (select from %s p where %s) then %L',
      string_agg(format('u.c%s is not null', c.place), ' and ' order by n.ord), f.confrelid::regclass,
      string_agg(format('p.%I operator(%I.%s) u.c%s::%s', r.attname, s.nspname, o.oprname, c.place, format_type(l.atttypid, l.atttypmod)), ' and ' order by n.ord),
      f.conname) as condition
    from pg_constraint f
    cross join lateral unnest(f.conkey, f.confkey, f.conpfeqop) with ordinality n (child, parent, operator, ord)
    join pg_attribute l on l.attrelid = f.conrelid and l.attnum = n.child
    join pg_attribute r on r.attrelid = f.confrelid and r.attnum = n.parent
    join pg_operator o on o.oid = n.operator
    join pg_namespace s on s.oid = o.oprnamespace
    left join rowferry._entity_columns(p_entity) c on c.local = l.attname
    where f.conrelid = p_entity.relation and p_entity.inbound is null and f.contype = 'f' and f.convalidated and f.confrelid <> f.conrelid and f.confmatchtype = 's'
      and has_table_privilege((select t.relowner from pg_class t where t.oid = p_entity.relation), f.confrelid, 'select')
      and has_schema_privilege((select t.relowner from pg_class t where t.oid = p_entity.relation), (select t.relnamespace from pg_class t where t.oid = f.confrelid), 'usage')
    group by f.oid, f.conname, f.confrelid
    having bool_and(c.place is not null)
  ) k;
  return format($f$create or replace function rowferry.%1$I(
  p_columns text[],
  p_keys text[],
  out o_keys text[],
  out o_constraints text[]
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $rowferry$
begin
%2$s%3$sexception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('lacking_', p_entity.name), v_owner_check,
    case when v_missing is null then '' else format($f$  select array_agg(l.record_id), array_agg(l.lacking)
  into o_keys, o_constraints
  from (
    select u.record_id, case
      %s
    end
    from rows from (%s
  ) l (record_id, lacking)
  where l.lacking is not null;
$f$, v_missing, v_from) end);
end
$function$;
comment on function rowferry._missing_parents_sql(rowferry.entities) is 'DDL of the function that says which rows have no parent on this node.';
