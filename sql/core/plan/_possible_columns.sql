create or replace function rowferry._possible_columns(
  p_table regclass
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_object_agg(a.attname, jsonb_strip_nulls(jsonb_build_object(
    'type', rowferry._type_spelled(a.atttypid, a.atttypmod, true),
    'wanted', nullif(a.attnotnull and not a.atthasdef and a.attidentity = '', false),
    'sequence', s.facts))), '{}')
  from pg_attribute a
  left join lateral (
    -- As _schema_facts() tells a sequence of an attached table.
    select jsonb_build_object('id', q.seqrelid, 'name', q.seqrelid::regclass::text, 'next', coalesce(
        case when has_sequence_privilege(q.seqrelid, 'usage, select') then pg_sequence_last_value(q.seqrelid) end + q.seqincrement, q.seqstart),
      'increment', q.seqincrement, 'least', q.seqmin, 'most', q.seqmax, 'cycle', q.seqcycle, 'owner', pg_get_userbyid(c.relowner),
      'block', (select g.block from rowferry.staggered_sequences g where g.sequence = q.seqrelid and mod(q.seqincrement, g.block) = 0)) as facts
    from (
      select d.objid
      from pg_depend d
      where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
        and d.deptype in ('a', 'i')
      union
      select d.refobjid
      from pg_attrdef f
      join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
      where f.adrelid = a.attrelid and f.adnum = a.attnum) f (sequence)
    join pg_sequence q on q.seqrelid = f.sequence
    join pg_class c on c.oid = q.seqrelid
    where exists (select from pg_index i where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]))
    order by q.seqrelid limit 1) s on true
  where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and not rowferry._local_type(format_type(a.atttypid, -1))
$$;
comment on function rowferry._possible_columns(regclass) is
  'The columns of a table that could travel, each with its type, whether a row must bring a value (wanted), and the sequence that feeds it if it is unique.';
