-- If a column was dropped or renamed since, users' statements go on: its name, which is not qualified, is then found in the query around (missing) as the row
-- as a whole, so that any change of the row counts. As long as the column exists this costs nothing. If the column belongs to the key or to the filter, writes
-- fail until attach() is called again.
create or replace function rowferry._capture_statement_sql(
  p_entity rowferry.entities,
  p_way_out text,
  p_peers text default null
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_record_id constant text := rowferry._record_id_sql(p_entity, 'r', true) || ' collate pg_catalog."C"';
  v_new_rows constant text := rowferry._filtered_sql(p_entity, 'new_rows', true);
  v_old_rows constant text := rowferry._filtered_sql(p_entity, 'old_rows', true);
  -- When a row enters or leaves the filter, the rows that follow it are looked at; when a row gets another parent, it is looked at itself (event type w).
  v_crosses constant boolean := p_entity.filter is not null and rowferry._is_followed(p_entity);
  v_follows constant text := (select string_agg(quote_ident(w), ', ') from unnest(p_entity.within_columns) w);
  v_parent constant text := rowferry._place_sql(p_entity, null);
  v_old_parent constant text := case when v_parent is not null then 'case when n.place operator(pg_catalog.*<>) o.place then o.parent end' end;
  v_changed constant text := case when v_follows is null then '''u'''
    else $c$case when n.place operator(pg_catalog.*<>) o.place then 'w'::pg_catalog."char" else 'u' end$c$ end;
  v_columns constant text := concat('image', case when v_follows is not null then ', place' end, case when v_parent is not null then ', parent' end);
  v_rows text[];  -- FROM items: the new rows (n) and the old rows (o), each with its image, which is compared
begin
  select array_agg(format($f$(
        select %s, i.*
        from %s r
        %s
        cross join lateral (select row(%s)::pg_catalog.record%s from (select r.*) c) i (%s)) %s (record_id, %6$s)$f$,
      v_record_id, s.rows, c.missing, c.image, concat(', row(' || v_follows || ')::pg_catalog.record', ', ' || v_parent), v_columns, s.alias) order by s.alias)
  into v_rows
  from (values ('n', v_new_rows), ('o', v_old_rows)) s (alias, rows)
  cross join (
    select rowferry._missing_sql(array_agg(c), 'r'), string_agg(quote_ident(c), ', ') from unnest(rowferry._captured_columns(p_entity)) c
  ) c (missing, image);
  return format($f$
  if tg_op operator(pg_catalog.=) 'UPDATE' then
%1$s  elsif tg_op operator(pg_catalog.=) 'INSERT' then
%2$s  else
%3$s  end if;
$f$,
    rowferry._capture_part_sql(p_way_out, p_entity.id,
      -- A row that enters the filter is an insert for the peer, and one that leaves it a delete.
      format($c$case when n.record_id is null then '%s'::pg_catalog."char" when o.record_id is null then '%s' else %s end$c$,
        case when v_crosses then 'w' else 'd' end, case when v_crosses then 'w' else 'i' end, v_changed),
      'coalesce(n.record_id, o.record_id)',
      format(E'%s\n      full join %s\n        on n.record_id operator(pg_catalog.=) o.record_id', v_rows[1], v_rows[2]),
      'n.record_id is null or o.record_id is null or n.image operator(pg_catalog.*<>) o.image',
      case when v_parent is not null then format('case when n.record_id is null then o.parent %selse %s end',
        case when v_crosses then 'when o.record_id is null then array[]::pg_catalog.text[] ' end, v_old_parent) end,
      p_peers),
    rowferry._capture_part_sql(p_way_out, p_entity.id, $c$'i'$c$, 'c.record_id', format('(select %s from %s r) c (record_id)', v_record_id, v_new_rows),
      p_peers => p_peers),
    rowferry._capture_part_sql(p_way_out, p_entity.id, $c$'d'$c$, 'c.record_id',
      case when v_parent is null then format('(select %s from %s r) c (record_id)', v_record_id, v_old_rows)
      else format($f$(
        select %s, i.parent
        from %s r
        %s
        cross join lateral (select %s from (select r.*) c) i (parent)) c (record_id, parent)$f$, v_record_id, v_old_rows,
        rowferry._missing_sql(p_entity.within_columns, 'r'), v_parent) end,
      p_place => case when v_parent is not null then 'c.parent' end, p_peers => p_peers));
end
$function$;
comment on function rowferry._capture_statement_sql(rowferry.entities, text, text) is
  'Body of the capture function of a table whose triggers fire once a statement and see their rows as new_rows and old_rows. p_way_out is an SQL comment '
  'that says what to do if a statement fails. _capture_part_sql() explains p_peers.';
