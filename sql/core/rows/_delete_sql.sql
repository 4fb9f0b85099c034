create or replace function rowferry._delete_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_delete constant record := rowferry._delete_parts(p_entity);
  v_found constant text := format('(select %s from %s t join %s on %s', rowferry._record_id_sql(p_entity, 't'), rowferry._only_sql(p_entity),
    rowferry._keys_sql(p_entity, '$1'), rowferry._key_join_sql(p_entity));
begin
  return next rowferry._function_sql(p_entity, 'delete_', '(p_keys text[]) returns void',
    concat(case when v_delete.o_within is not null then rowferry._off_path_sql(p_entity, format(E'  execute %L into $1 using $1;\n', v_delete.o_within)) end,
      format(E'  execute %L using $1;\n', v_delete.o_delete), rowferry._means_sql('table', p_entity.relation::text, p_entity.relation::oid::text)),
    p_reads => false, p_stable => false, p_path => rowferry._users_path(p_entity));
  return next rowferry._function_sql(p_entity, 'lock_', '(p_keys text[]) returns text[]', format($f$  select array_agg(l.record_id) into v_locked
  from %1$s for no key update of t skip locked) l (record_id);
  if cardinality(v_locked) operator(pg_catalog.=) cardinality($1) then
    return null;
  end if;
  return (
    select array_agg(p.record_id)
    from %1$s) p (record_id)
    where p.record_id not in (select unnest(v_locked))
  );
$f$, v_found), E'  v_locked text[];\n', p_reads => false, p_stable => false);
end
$function$;
comment on function rowferry._delete_sql(rowferry.entities) is
  'DDL of the functions that delete rows of an entity by their keys (delete_) and that lock them (lock_, which returns the keys of rows that another session '
  'has locked).';
