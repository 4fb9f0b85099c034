-- The function that says where the sequences stand which feed an entity's columns, as DDL. It runs with the rights of the table's owner, who may read them, and
-- reads them as tables: a session that has called nextval() is not kept waiting, nor is this one. used: the largest value in the column, where an index begins with it.
create or replace function rowferry._sequences_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%1$I()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $rowferry$
declare
  v_sequence record;
  v_last bigint;
  v_called boolean;
  v_used numeric;
  v_all jsonb := '{}';
begin
%2$s  for v_sequence in
    select f.local, s.*
    from (
      select a.attname as local, d.objid as sequence
      from pg_depend d
      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = %3$L::regclass and d.deptype in ('a', 'i')
      union
      select a.attname, d.refobjid
      from pg_attrdef f
      join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
      join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
      where f.adrelid = %3$L::regclass
    ) f
    join pg_sequence s on s.seqrelid = f.sequence
    where has_sequence_privilege(s.seqrelid, 'select')
  loop
    execute format('select last_value, is_called from %%s', v_sequence.seqrelid::regclass) into v_last, v_called;
    v_used := null;
    if exists (
      select from pg_attribute a
      join pg_type t on t.oid = a.atttypid
      join pg_index i on i.indrelid = a.attrelid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
      where a.attrelid = %3$L::regclass and a.attname = v_sequence.local
        and case when t.typtype = 'd' then t.typbasetype else t.oid end in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype)) then
      execute format('select max(%%I)::numeric from %%s', v_sequence.local, %3$L::regclass) into v_used;
    end if;
    v_all := v_all || jsonb_build_object(v_sequence.local, jsonb_build_object('name', v_sequence.seqrelid::regclass::text,
      'used', v_used, 'next', v_last + case when v_called then v_sequence.seqincrement else 0 end::numeric, 'increment', v_sequence.seqincrement,
      'least', v_sequence.seqmin, 'most', v_sequence.seqmax, 'cycle', v_sequence.seqcycle));
  end loop;
  return v_all;
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$, rowferry._object_name('sequences_', p_entity.name),
    rowferry._read_only_sql(p_entity), p_entity.relation)
$function$;
comment on function rowferry._sequences_sql(rowferry.entities) is 'DDL of the function that says where the sequences of an entity''s table stand.';
revoke all on function rowferry._sequences_sql(rowferry.entities) from public;
