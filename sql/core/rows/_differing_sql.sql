create or replace function rowferry._differing_sql(
  p_entity rowferry.entities
)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select rowferry._function_sql(p_entity, 'altered_',
    '(p_columns text[], p_keys text[], p_positions integer[], p_sent regtype[], p_back boolean, out o_keys text[], out o_positions integer[])',
    format($f$  select string_agg(format('unnest(($1[%%s])::text[]) as s%%1$s', p.position), ', '),
    string_agg(format('when %%s then %%s', case
      when not $5 then format('%%s is null and s%%s is not null', w.printed, p.position)
      when p.sent is null then format('%%s <> s%%s', w.printed, p.position)
      when p.sent in ('numeric'::regtype, 'numeric[]'::regtype, 'bpchar'::regtype, 'bpchar[]'::regtype)
        then format('%%s::%%s <> s%%s::%%2$s', w.printed, w.type, p.position)
      else format('textin(%%I.%%I(%%s::%%s)) <> s%%s', b.pronamespace::regnamespace, b.proname, w.printed, w.type, p.position) end, p.position), ' ')
  into v_values, v_cases
  from unnest($3, $4) p (position, sent)
  join pg_attribute a on a.attrelid = %L::regclass and a.attname = c_columns[p.position] and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  join pg_proc o on o.oid = t.typoutput
  join pg_namespace n on n.oid = o.pronamespace
  left join pg_type s on s.oid = p.sent
  left join pg_proc b on b.oid = s.typoutput
  cross join lateral (
    select format('textin(%%I.%%I(s%%s::%%s::%%s))', n.nspname, o.proname, p.position, c_types[p.position], format_type(a.atttypid, a.atttypmod)),
      format_type(p.sent, -1)) w (printed, type);
  if v_cases is not null then
    execute format('select array_agg(a.key), array_agg(a.place) from (select u.key, case %%s end from (select unnest($2) as key, %%s offset 0) u) a (key, place)
      where a.place is not null', v_cases, v_values)
    into o_keys, o_positions using $1, $2;
  end if;
$f$, rowferry._travelling_relation(p_entity)::text),
    format($f$  c_columns constant text[] := %L;
  c_types constant text[] := %L;
  v_values text;
  v_cases text;
$f$, array_agg(c.local order by c.place), array_agg(c.full_type order by c.place)), p_reads => false)
  from rowferry._column_parts(p_entity) c
  union all
  select rowferry._function_sql(p_entity, 'differing_', '(p_columns text[], p_keys text[]) returns text[]', format($f$  return (
    select array_agg(u.record_id)
    from %s
    left join %s t on %s
    where t.%I is null or row(%s)::record *<> row(%s)::record
  );
$f$, rowferry._received_sql(p_entity, p_keys => '$2'), rowferry._only_sql(p_entity, true), rowferry._key_join_sql(p_entity, p_received => true),
      min(c.local) filter (where c.key_position = 1),
      string_agg(format('t.%I::%s', c.local, c.type), ', ' order by c.place), string_agg(format('%s::%s', c.value, c.full_type), ', ' order by c.place)),
    p_check => rowferry._users_check_sql(p_entity), p_stable => false)
  from rowferry._column_parts(p_entity) c
$function$;
comment on function rowferry._differing_sql(rowferry.entities) is
  'DDL of the functions that compare rows with what was sent. differing_ says which rows are not stored as they were sent. altered_ says which rows would be '
  'altered by this node''s types. It looks at the columns at p_positions, whose type on the other node is p_sent (null: a type that is not part of '
  'PostgreSQL). Each value is read as the column''s type and printed; read as the sender''s type, that must print as what was sent. Numbers and padded texts '
  'need only be equal, because each node has its own scale and padding. Without p_back only the way to this node''s type is tried, which may fail.';
