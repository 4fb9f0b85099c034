create or replace function rowferry._sequences_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select rowferry._function_sql(p_entity, 'sequences_', '(p_theirs jsonb) returns jsonb', format($f$  for v_sequence in
    select a.attname as local, f.sequence, s.*, exists (
        select from pg_type t
        join pg_index i on i.indrelid = a.attrelid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
        where t.oid = a.atttypid
          and case when t.typtype = 'd' then t.typbasetype else t.oid end = any ('{smallint,integer,bigint,numeric}'::regtype[])) as found
    from pg_attribute a
    left join (
      select d.refobjsubid, d.objid
      from pg_depend d
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = %1$L::regclass and d.deptype in ('a', 'i')
      union
      select f.adnum, d.refobjid
      from pg_attrdef f
      join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
      where f.adrelid = %1$L::regclass
    ) f (number, sequence) on f.number = a.attnum
      and exists (select from pg_sequence q where q.seqrelid = f.sequence and has_sequence_privilege(q.seqrelid, 'select'))
    left join pg_sequence s on s.seqrelid = f.sequence
    where a.attrelid = %1$L::regclass and a.attnum > 0 and not a.attisdropped and (f.sequence is not null or a.attname = any (%2$L::text[]))
  loop
    v_one := '{}';
    if v_sequence.sequence is not null then
      execute format('select last_value, is_called from %%s', v_sequence.sequence::regclass) into v_last, v_called;
      v_one := jsonb_build_object('name', v_sequence.sequence::regclass::text,
        'next', v_last + case when v_called then v_sequence.seqincrement else 0 end::numeric,
        'increment', v_sequence.seqincrement, 'least', v_sequence.seqmin, 'most', v_sequence.seqmax, 'cycle', v_sequence.seqcycle);
    end if;
    if v_sequence.found then
      execute format('select max(%%I)::numeric from %%s', v_sequence.local, %1$L::regclass) into v_used;
      v_one := v_one || jsonb_build_object('used', v_used);
      for v_ahead in
        select q.place, (q.sequence ->> 'next')::numeric as next, (q.sequence ->> 'increment')::numeric as increment
        from (values ('taken', v_one), ('theirs_taken', p_theirs -> v_sequence.local)) q (place, sequence)
        where (q.sequence ->> 'increment')::numeric > 0 and (q.sequence ->> 'next')::numeric <= v_used
      loop
        execute format('select t.%%1$I::numeric from %%2$s t where t.%%1$I between %%3$s and %%4$s and mod(t.%%1$I::numeric - %%3$s, %%5$s) = 0
            order by t.%%1$I limit 1',
          v_sequence.local, %1$L::regclass, v_ahead.next, least(v_used, v_ahead.next + greatest(c_least, 100 * v_ahead.increment)), v_ahead.increment)
        into v_taken;
        v_one := v_one || jsonb_build_object(v_ahead.place, v_taken);
      end loop;
    end if;
    v_all := v_all || jsonb_build_object(v_sequence.local, v_one);
  end loop;
  return v_all;
$f$, p_entity.relation, (select array_agg(c.local) from rowferry._column_parts(p_entity) c where c.key_position is not null)),
  $f$  c_least constant bigint := 2000;  -- how many values it looks ahead, in an index, until it finds one
  v_sequence record;
  v_ahead record;
  v_one jsonb;
  v_last bigint;
  v_called boolean;
  v_used numeric;
  v_taken numeric;
  v_all jsonb := '{}';
$f$, p_settings => '{}')
$function$;
comment on function rowferry._sequences_sql(rowferry.entities) is
  'DDL of the function that returns the state of the sequences of an entity''s table, and how high the values in its columns are, for columns that a '
  'sequence feeds and those of the key. It reads sequences as tables: it waits for no session that has called nextval(), and makes none wait. used is the '
  'largest value in the column, if an index begins with it; taken is the first of the next values of its sequence that is in the column already; '
  'theirs_taken is the same of the peer''s sequence, which p_theirs describes.';
