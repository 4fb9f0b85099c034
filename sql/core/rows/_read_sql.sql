create or replace function rowferry._read_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_parameters constant text := 'p_keys text[], p_bytes bigint';
  v_id constant text := rowferry._record_id_sql(p_entity, 't');
  v_only constant text := rowferry._only_sql(p_entity);
  v_shape constant regclass := rowferry._travelling_relation(p_entity);
  v_check text := rowferry._users_check_sql(p_entity);
  v_values text;
  v_texts text;
  v_size text;
  v_found text;
  v_rows text;
  v_outside text := '';
begin
  select string_agg(c.printed, E',\n      ' order by c.place),
    -- Each node pads char(n) to the length of its own column.
    string_agg(format(case when c.type = 'bpchar' then 'rtrim(textin(%s(t.%I)))' else 'textin(%s(t.%I))' end, c.output, c.local), ', ' order by c.place),
    -- A value that is stored compressed travels at its full size.
    coalesce(string_agg(format('coalesce(case when pg_column_compression(t.%1$I) is null then pg_column_size(t.%1$I) else octet_length(%2$s) end, 0)', c.local,
        format(case when c.type in ('text', 'character varying', 'bytea') then 't.%I' else 'textin(%2$s(t.%1$I))' end, c.local, c.output)),
          ' + ' order by c.place)
      filter (where a.attstorage <> 'p'), '0')
  into v_values, v_texts, v_size
  from rowferry._column_parts(p_entity) c
  join pg_attribute a on a.attrelid = v_shape and a.attname = c.local;
  -- A key of one column is found in one scan of its index, in order.
  v_found := coalesce((
      select format(' t where t.%I operator(pg_catalog.=) any ($1::%s[])', c.local, c.type)
      from rowferry._column_parts(p_entity) c
      where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
    format(' t join %s on %s', rowferry._keys_sql(p_entity, '$1'), rowferry._key_join_sql(p_entity)));
  v_rows := rowferry._source_sql(p_entity) || v_found;
  if p_entity.outbound is not null then
    v_check := v_check || format($f$  if exists (select from (select t.* from %1$s%2$s) t where not exists (select from %3$s o where %4$s)) then
    raise exception using errcode = 'RF013', message = 'the outbound view leaves out a row of the table', hint = %5$L;
  end if;
$f$, rowferry._filtered_sql(p_entity, v_only), v_found, v_shape,
      (select string_agg(format('o.%I operator(pg_catalog.=) t.%1$I', c.local), ' and ') from rowferry._column_parts(p_entity) c
        where c.key_position is not null),
      format('The view gives one row for each row of %s: take its condition or join out of %s, and see select * from rowferry.check();', p_entity.relation,
        p_entity.outbound));
  end if;
  if coalesce(p_entity.filter, p_entity.within) is not null then
    v_outside := format($f$  if %sp_bytes = -2 then
    select array_agg(%s) into o_outside
    from %s%s%s not %s;
  end if;
  if p_bytes = -2 then
    return;
  end if;
$f$, case when p_entity.within is not null or p_entity.filter_left = 'keep' then 'p_bytes is null or p_bytes <> -2 or ' end, v_id, v_only, v_found,
      case when cardinality(p_entity.key_columns) = 1 then ' and' else ' where' end, rowferry._filter_sql(p_entity, 't'));
  end if;

  -- Both are STABLE, so that they see the snapshot of the statement that chose the events.
  return next rowferry._function_sql(p_entity, 'read_',
    format('(%s, out o_keys text[], out o_columns text[], out o_cut text[], out o_large text[], out o_alone text[], out o_sizes bigint[],'
      ' out o_length bigint, out o_outside text[])', c_parameters),
    format($f$%5$s  if p_bytes is not null then
    v_most := case when p_bytes < 125829120 then 4194304 else 125829120 end;
    select array_agg(r.record_id) filter (where r.before <= p_bytes and r.size <= v_most),
      array_agg(r.record_id) filter (where r.before > p_bytes and r.size <= v_most),
      array_agg(r.record_id) filter (where r.size > 125829120),
      array_agg(r.record_id) filter (where r.size > v_most and r.size <= 125829120),
      array_agg(r.size) filter (where r.size > v_most and r.size <= 125829120)
    into p_keys, o_cut, o_large, o_alone, o_sizes
    from (
      select s.record_id, s.size, sum(s.size) filter (where s.size <= v_most) over (rows unbounded preceding) - s.size
      from (select %1$s, (%2$s)::bigint from %3$s) s (record_id, size)
    ) r (record_id, size, before);
  end if;
  select array_agg(%1$s), array[
      %4$s]
  into o_keys, o_columns
  from %3$s;
  o_length := (select sum(octet_length(o_columns[i])) from generate_subscripts(o_columns, 1) i);
$f$, v_id, v_size, v_rows, v_values, v_outside),
    E'  v_most bigint;\n', v_check, p_settings => '{row_security = off, enable_seqscan = off}');
  return next rowferry._function_sql(p_entity, 'hash_',
    format('(%s, p_hash boolean, out o_keys text[], out o_hashes bigint[], out o_cut text[], out o_large text[])', c_parameters),
    format($f$  if p_bytes is not null then
    select array_agg(r.record_id) filter (where r.before <= p_bytes and r.size <= 4194304),
      array_agg(r.record_id) filter (where r.before > p_bytes and r.size <= 4194304),
      array_agg(r.record_id) filter (where r.size > 4194304)
    into p_keys, o_cut, o_large
    from (
      select s.record_id, s.size, sum(s.size) filter (where s.size <= 4194304) over (rows unbounded preceding) - s.size
      from (select %1$s, (%2$s)::bigint from %3$s) s (record_id, size)
    ) r (record_id, size, before);
  end if;
  select array_agg(%1$s), array_agg(case when $3 then hashtextextended(array[%4$s]::text collate "C", 0) end)
  into o_keys, o_hashes
  from %3$s;
$f$, v_id, v_size, v_rows, v_texts), p_check => v_check);
end
$function$;
comment on function rowferry._read_sql(rowferry.entities) is
  'DDL of the functions that read the present rows of some keys of an entity (read_: each column as the literal of one array) and hash them (hash_: equal on '
  'both nodes for equal rows; without p_hash it says which keys exist). With p_bytes, rows beyond so many bytes are left for a later batch (o_cut), but one '
  'row always fits unless p_bytes is negative. A row of more than 4 MB is left too (read_: o_alone, with its size in o_sizes; hash_: o_large): it needs a '
  'call of its own, with p_bytes 120 MB. A row of more than 120 MB is not read (o_large), because its text, up to twice as long, must fit in one jsonb. A '
  'row outside of the filter counts as gone; o_outside names it if it stays on the peer or follows a parent, because then the caller must look further. With '
  'p_bytes -2 nothing is read, and o_outside names all rows that are outside. If the outbound view leaves a row out, that is an error; the row does not '
  'count as gone.';
