-- A row trigger sees fields of a record and has no place for what stands in for a missing column (_capture_statement_sql): once any column is altered, writes
-- fail until attach() is called again. A session that has called the function goes by the types that it met first, until the function is made again: so they
-- stand in the function's text.
create or replace function rowferry._capture_row_sql(
  p_entity rowferry.entities,
  p_way_out text
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_captured constant text[] := rowferry._captured_columns(p_entity);
  v_filtered constant boolean := p_entity.filter is not null;
  v_new constant text := rowferry._record_id_sql(p_entity, 'new', true) || ' collate pg_catalog."C"';
  v_old constant text := rowferry._record_id_sql(p_entity, 'old', true) || ' collate pg_catalog."C"';
  v_new_within constant text := rowferry._filter_sql(p_entity, 'new', true);
  v_old_within constant text := rowferry._filter_sql(p_entity, 'old', true);
  v_old_parent constant text := rowferry._place_sql(p_entity, 'old');
  v_place constant text := case when v_old_parent is not null then ', place' end;
begin
  return (
    select format($f$
  -- %13$s
  if tg_op operator(pg_catalog.=) 'INSERT' then
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
    select v_now, %3$s, v_hops, 'i', c.record_id
    from (select %1$s) c (record_id)
    where %7$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
  elsif tg_op operator(pg_catalog.=) 'DELETE' then
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
    select v_now, %3$s, v_hops, 'd', c.record_id%15$s
    from (select %2$s) c (record_id)
    where %8$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
  else
    insert %6$s
    into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
    select v_now, %3$s, v_hops, case %9$swhen c.record_id operator(pg_catalog.=) c.old_id then 'u'::pg_catalog."char" else 'i' end, c.record_id%16$s
    from (select %1$s, %2$s%10$s
    where %11$s(c.record_id operator(pg_catalog.<>) c.old_id
        or row(%4$s)::pg_catalog.record operator(pg_catalog.*<>) row(%5$s)::pg_catalog.record%12$s)
      and (v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
    if (%1$s) operator(pg_catalog.<>) (%2$s) then
      insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id%14$s)
      select v_now, %3$s, v_hops, 'd', c.record_id%15$s
      from (select %2$s) c (record_id)
      where %8$s(v_keys is null or c.record_id operator(pg_catalog.<>) all (v_keys));
    end if;
  end if;
$f$, v_new, v_old, p_entity.id, c.new_image, c.old_image, p_way_out, v_new_within || ' and ', v_old_within || ' and ',
      concat(
        -- A row that enters the filter is an insert for the peer, and one that leaves it a delete; if other rows follow it, they are looked at (w).
        case when v_filtered and rowferry._is_followed(p_entity) then 'when c.is_within <> c.was_within then ''w'' '
          when v_filtered then 'when not c.is_within then ''d'' when not c.was_within then ''i'' ' end,
        (
          select format('when c.record_id operator(pg_catalog.=) c.old_id'
              ' and row(%s)::pg_catalog.record operator(pg_catalog.*<>) row(%s)::pg_catalog.record then ''w'' ',
            string_agg(format('new.%I', w), ', '), string_agg(format('old.%I', w), ', '))
          from unnest(p_entity.within_columns) w having count(*) > 0)),
      coalesce(', ' || v_new_within || ', ' || v_old_within || ') c (record_id, old_id, is_within, was_within)', ') c (record_id, old_id)'),
      case when v_filtered then '(c.is_within or c.was_within and c.record_id operator(pg_catalog.=) c.old_id) and ' end,
      case when v_filtered then ' or c.is_within <> c.was_within' end,
      translate((
        select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) from pg_attribute a
        where a.attrelid = p_entity.relation and a.attname = any (v_captured)), E'\r\n$', '  '),
      v_place, ', case when v_hops operator(pg_catalog.=) 0 or v_passes then ' || v_old_parent || ' end',
      -- Only the event of a row that left or moved has a place.
      E',\n      case when (v_hops operator(pg_catalog.=) 0 or v_passes) and c.record_id operator(pg_catalog.=) c.old_id then '
        || case when v_filtered then 'case when not c.was_within then array[]::pg_catalog.text[] else ' || v_old_parent || ' end'
          else v_old_parent end || ' end')
    from (select string_agg(format('new.%I', c), ', '), string_agg(format('old.%I', c), ', ') from unnest(v_captured) c) c (new_image, old_image));
end
$function$;
comment on function rowferry._capture_row_sql(rowferry.entities, text) is
  'Body of the capture function of a partitioned table. Its triggers fire for each row, because a statement trigger would miss writes that name a partition. '
  'p_way_out is an SQL comment that says what to do if a statement fails.';
