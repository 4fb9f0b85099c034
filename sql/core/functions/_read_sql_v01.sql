-- The row reader of an entity, as DDL: the present rows of some keys, each column as the literal of one array. STABLE, so that it sees the
-- snapshot of the statement that chose the events. Rows beyond p_bytes (null: no limit) are left for a later batch (o_cut); one always fits,
-- unless p_bytes is negative. One of more than 4 MB is left (o_alone) unless p_bytes is 120 MB: it takes a call of its own. A row of more than 120 MB is not read
-- (o_large): its text, which is up to twice as long, must fit in one jsonb.
create or replace function rowferry._read_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_values text;
  v_join text;
  v_size text;
  v_rows text;
  -- An owner that makes the function security invoker would have its triggers run with the caller's rights.
  v_check text := (select case when relowner <> 'rowferry_owner'::regrole then $f$  if current_user operator(pg_catalog.=) 'rowferry_owner' then
    raise exception using errcode = '42501', message = 'this function must be security definer';
  end if;
$f$ else '' end from pg_class where oid = p_entity.relation);
begin
  select string_agg(case when c.typed then format('array_agg(t.%I)::text', c.local)
      else format('array_agg(textin(%s(t.%I)))::text', c.output, c.local) end, E',\n      ' order by c.position),
    string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) filter (where c.key_position is not null),
    -- What is stored compressed travels at its full size.
    string_agg(format('coalesce(case when pg_column_compression(t.%1$I) is null then pg_column_size(t.%1$I) else octet_length(%2$s) end, 0)', c.local,
        format(case when c.type in ('text', 'character varying', 'bytea') then 't.%I' else 'textin(%2$s(t.%1$I))' end, c.local, c.output)), ' + ' order by c.position)
      filter (where a.attstorage <> 'p')
  into v_values, v_join, v_size
  from rowferry._entity_columns(p_entity) c
  join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local;
  -- A key of one column is found in one scan of its index, in order.
  v_rows := coalesce((
      select format('%s t where t.%I operator(pg_catalog.=) any ($1::%s[])', p_entity.relation, c.local, c.type)
      from rowferry._entity_columns(p_entity) c
      where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
    format('%s t join %s on %s', p_entity.relation, rowferry._keys_sql(p_entity, '$1'), v_join));
  return format($f$create or replace function rowferry.%1$I(
  p_keys text[],
  p_bytes bigint,
  out o_keys text[],
  out o_columns text[],
  out o_cut text[],
  out o_large text[],
  out o_alone text[],
  out o_sizes bigint[],
  out o_length bigint
)
language plpgsql
stable
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
set enable_seqscan = off
as $rowferry$
declare
  v_most bigint;
begin
%6$s  if p_bytes is not null then
    v_most := case when p_bytes < 125829120 then 4194304 else 125829120 end;
    select array_agg(r.record_id) filter (where r.before <= p_bytes and r.size <= v_most),
      array_agg(r.record_id) filter (where r.before > p_bytes and r.size <= v_most),
      array_agg(r.record_id) filter (where r.size > 125829120),
      array_agg(r.record_id) filter (where r.size > v_most and r.size <= 125829120),
      array_agg(r.size) filter (where r.size > v_most and r.size <= 125829120)
    into p_keys, o_cut, o_large, o_alone, o_sizes
    from (
      select s.record_id, s.size, sum(s.size) filter (where s.size <= v_most) over (rows unbounded preceding) - s.size
      from (select %2$s, (%3$s)::bigint from %4$s) s (record_id, size)
    ) r (record_id, size, before);
  end if;
  select array_agg(%2$s), array[
      %5$s]
  into o_keys, o_columns
  from %4$s;
  o_length := (select sum(octet_length(o_columns[i])) from generate_subscripts(o_columns, 1) i);
end
$rowferry$$f$,
    rowferry._object_name('read_', p_entity.name), rowferry._record_id_sql(p_entity, 't'),
    coalesce(v_size, '0'), v_rows, v_values, v_check);
end
$function$;
comment on function rowferry._read_sql(rowferry.entities) is 'DDL of the function that reads the present rows of an entity.';
revoke all on function rowferry._read_sql(rowferry.entities) from public;
