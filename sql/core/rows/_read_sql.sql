-- The row reader of an entity, as DDL: the present rows of some keys, each column as the literal of one array. STABLE, so that it sees the
-- snapshot of the statement that chose the events. Rows beyond p_bytes (null: no limit) are left for a later batch (o_cut); one always fits,
-- unless p_bytes is negative. One of more than 4 MB is left (o_alone) unless p_bytes is 120 MB: it takes a call of its own. A row of more than 120 MB is not read
-- (o_large): its text, which is up to twice as long, must fit in one jsonb. A row outside of the filter is as good as gone; o_outside: of one that is to stay
-- on the peer, or that follows a parent, it takes more to say so. p_bytes -2: nothing is read, and o_outside names all that are outside.
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
  v_parts record;
begin
  select string_agg(case when c.typed then format('array_agg(t.%I)::text', c.local)
      else format('array_agg(textin(%s(t.%I)))::text', c.output, c.local) end, E',\n      ' order by c.place)
  into v_values
  from rowferry._entity_columns(p_entity) c;
  select * into v_parts from rowferry._reader_parts(p_entity);
  return format($f$create or replace function rowferry.%1$I(
  p_keys text[],
  p_bytes bigint,
  out o_keys text[],
  out o_columns text[],
  out o_cut text[],
  out o_large text[],
  out o_alone text[],
  out o_sizes bigint[],
  out o_length bigint,
  out o_outside text[]
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
#variable_conflict use_column
declare
  v_most bigint;
begin
%6$s%7$s  if p_bytes is not null then
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
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('read_', p_entity.name), rowferry._record_id_sql(p_entity, 't'),
    v_parts.o_size, v_parts.o_rows, v_values, v_parts.o_check,
    -- Not gone: neither sent nor deleted on the peer.
    case when coalesce(p_entity.filter, p_entity.within) is not null then format($f$  if %sp_bytes = -2 then
    select array_agg(%s) into o_outside
    from %s%s not %s;
  end if;
  if p_bytes = -2 then
    return;
  end if;
$f$, case when p_entity.within is not null or p_entity.filter_left = 'keep' then 'p_bytes is null or p_bytes <> -2 or ' end, rowferry._record_id_sql(p_entity, 't'), v_parts.o_table_rows,
      case when cardinality(p_entity.key_columns) = 1 then ' and' else ' where' end, rowferry._filter_sql(p_entity, 't')) else '' end);
end
$function$;
comment on function rowferry._read_sql(rowferry.entities) is 'DDL of the function that reads the present rows of an entity.';
